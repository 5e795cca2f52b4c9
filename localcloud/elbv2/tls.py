"""TLS of HTTPS listeners: which certificate a client gets, and which versions and ciphers a security policy allows."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from moto.elbv2.ssl_policies import SSL_POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, ready to be served.

    Args:
        names: The host names that it is for; the first label may be `*`.
        context: Serves it.
    """

    names: frozenset[str]
    context: ssl.SSLContext


@dataclass(frozen=True)
class Tls:
    """How a listener speaks TLS.

    Args:
        policy: The security policy's name.
        certificates: The default one first.
    """

    policy: str
    certificates: tuple[Certificate, ...]

    def choose(self, host: str | None) -> Certificate:
        """Return the certificate for a host name: one that names it, one with a wildcard for it, or the default."""
        name = (host or "").lower()
        for wanted in (name, f"*.{name.partition('.')[2]}"):
            for certificate in self.certificates:
                if wanted in certificate.names:
                    return certificate
        return self.certificates[0]


def read_certificate(names: list[str], *pem: bytes) -> Certificate:
    """Load certificate, chain and key, each in PEM.

    Raises:
        ssl.SSLError: The key is not the certificate's, or one of them is of no use for TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with NamedTemporaryFile() as file:  # the module ssl reads keys from files only
        file.write(b"\n".join(pem))
        file.flush()
        context.load_cert_chain(file.name)
    return Certificate(frozenset(name.lower() for name in names), context)


def listener_context(current: Callable[[], Tls]) -> ssl.SSLContext:
    """Return the context of a listener's socket, which asks for each connection how the listener speaks TLS now."""

    def choose(connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
        connection.context = current().choose(host).context

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = choose  # called for clients that name no host, too
    apply_policy(context, current().policy)
    return context


def apply_policy(context: ssl.SSLContext, policy: str) -> None:
    """Allow what the security policy allows, from the next connection on; TLS older than 1.2 is never spoken here."""
    allowed: Any = SSL_POLICIES[policy]
    versions = [version for name, version in VERSIONS.items() if name in allowed["ssl_protocols"]]
    context.minimum_version, context.maximum_version = versions[0], versions[-1]
    ciphers = [name for name in allowed["ciphers"] if not name.startswith("TLS_")]
    if ciphers:
        context.set_ciphers(":".join(ciphers))
