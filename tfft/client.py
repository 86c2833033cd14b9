"""Clients for TF Serving and `tfft serve`, over REST and gRPC."""

from tfft.serving.client.base import Client, Patience, ServerError, SignatureInfo
from tfft.serving.client.connect import connect

__all__ = ["Client", "Patience", "ServerError", "SignatureInfo", "connect"]
