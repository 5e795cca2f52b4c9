"""The instance metadata service: what an instance gets at http://169.254.169.254, with tokens and hop limit."""

from localcloud.imds.server import MetadataServer

__all__ = ["MetadataServer"]
