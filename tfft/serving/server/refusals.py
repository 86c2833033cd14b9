"""Why a request is not answered, in the codes of both protocols."""

from __future__ import annotations

from tfft.core.errors import TfftError


class RefusalError(TfftError):
    """A request that is not answered.

    Attributes:
        code: Name of the gRPC status.
        http: The HTTP status.
    """

    code, http = "INTERNAL", 500


class InvalidRequestError(RefusalError):
    """A request that cannot be meant."""

    code, http = "INVALID_ARGUMENT", 400


class NotServedError(RefusalError):
    """A model, a version or a label that is not there."""

    code, http = "NOT_FOUND", 404


class TooLargeError(RefusalError):
    """A request above the limit of bytes."""

    code, http = "RESOURCE_EXHAUSTED", 413


class TooLateError(RefusalError):
    """A request that took longer than it may."""

    code, http = "DEADLINE_EXCEEDED", 504


class TooSlowError(TooLateError):
    """A client that does not send what it announced."""

    http = 408


class BusyError(RefusalError):
    """More requests at once than are taken; the same request may pass later."""

    code, http = "UNAVAILABLE", 503


class WrongMethodError(RefusalError):
    """An HTTP method that an address does not take."""

    code, http = "UNIMPLEMENTED", 405


class ModelFailureError(RefusalError):
    """A model that fails on a request that fits its signature."""
