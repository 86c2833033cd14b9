"""Clients of TF Serving and of `tfft serve`, by REST and by gRPC."""

from tfft.serving.client.base import Client, Patience, ServerError, SignatureInfo
from tfft.serving.client.connect import connect

__all__ = ["Client", "Patience", "ServerError", "SignatureInfo", "connect"]
