"""Errors that refuse a request, with the status codes of both protocols."""

from __future__ import annotations

from tfft.core.errors import TfftError


class RefusalError(TfftError):
    """A request that the server refuses.

    Attributes:
        code: Name of the gRPC status.
        http: The HTTP status.
    """

    code, http = "INTERNAL", 500


class InvalidRequestError(RefusalError):
    """An invalid request."""

    code, http = "INVALID_ARGUMENT", 400


class NotServedError(RefusalError):
    """An unknown model, version or label."""

    code, http = "NOT_FOUND", 404


class TooLargeError(RefusalError):
    """A request with too many bytes."""

    code, http = "RESOURCE_EXHAUSTED", 413


class TooLateError(RefusalError):
    """A request that took too long."""

    code, http = "DEADLINE_EXCEEDED", 504


class TooSlowError(TooLateError):
    """A client that sends less than it announced."""

    http = 408


class BusyError(RefusalError):
    """Too many requests at once; the same request may succeed later."""

    code, http = "UNAVAILABLE", 503


class WrongMethodError(RefusalError):
    """An HTTP method that an address does not support."""

    code, http = "UNIMPLEMENTED", 405


class ModelFailureError(RefusalError):
    """A model that fails on a valid request."""
