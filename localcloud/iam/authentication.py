"""Who sends a request: its signature is checked against the secret key that the signer has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow

from localcloud.iam import signature as sigv4
from localcloud.iam.principals import Principal, RootKey, find_key, principal_of, root
from localcloud.requestlog import ARRIVED

if TYPE_CHECKING:
    from localcloud.call import Call


class UnauthenticatedError(Exception):
    """The signer is not known; the argument is one of the kinds in `localcloud.iam.refusals`."""


class Authenticator:
    """Knows the keys of roots, users and sessions."""

    def __init__(self, root_keys: Iterable[RootKey], clock: Callable[[], float] = time.time) -> None:
        self._roots = {key.access_key: key for key in root_keys}
        self._clock = clock

    def owner(self, access_key: str) -> Principal | None:
        """Return whose key it is, or None."""
        if access_key in self._roots:
            return root(self._roots[access_key].account)
        found = find_key(access_key)
        return principal_of(*found) if found else None

    def authenticate(self, call: Call) -> Principal:
        """Return who signed a request."""
        environ, body = call.environ.get(ARRIVED) or (call.environ, call.body)
        signed = sigv4.signature_of(environ)
        if signed is None:
            raise UnauthenticatedError("old method" if sigv4.is_signed_otherwise(environ) else "unsigned")
        secret, session = self._secret(signed.access_key)
        token = session.token if session else ""
        if token != signed.token:
            raise UnauthenticatedError("wrong token" if signed.token else "unknown key")
        self._check(signed, secret, environ, body)
        if session and utcnow() > session.expires:
            raise UnauthenticatedError("expired session")
        # Sessions of a user or root may not call IAM: there are no second factors here.
        owner = None if session and not session.role_arn and call.service == "iam" else self.owner(signed.access_key)
        if owner is None:
            raise UnauthenticatedError("unknown key")
        return owner

    def _secret(self, access_key: str) -> tuple[str, Any]:
        """Return the secret of a key, and its session when it is temporary."""
        if access_key in self._roots:
            return self._roots[access_key].secret_key, None
        found = find_key(access_key)
        if found is None or found[1].status != "Active":
            raise UnauthenticatedError("unknown key")
        return found[1].secret_access_key, getattr(found[1], "session", None)

    def _check(self, signed: sigv4.Signature, secret: str, environ: Mapping[str, Any], body: bytes) -> None:
        try:
            late = sigv4.skew(signed, self._clock())
        except ValueError as error:
            raise UnauthenticatedError("wrong signature") from error
        if not sigv4.is_genuine(signed, secret, environ, body):
            raise UnauthenticatedError("wrong signature")
        if signed.expires is None and abs(late) > sigv4.SKEW_SECONDS:
            raise UnauthenticatedError("wrong time")
        if signed.expires is not None and late > 0:
            raise UnauthenticatedError("late")
        if sigv4.has_other_body(environ, body):
            raise UnauthenticatedError("wrong body")
