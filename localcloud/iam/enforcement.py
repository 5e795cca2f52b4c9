"""Authenticates each request, and evaluates it by policies, before moto sees it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow

from localcloud.iam import signature as sigv4
from localcloud.iam.context import Keys, Need, common_keys
from localcloud.iam.evaluation import Guard, Request, refusal
from localcloud.iam.found import UnmappedError
from localcloud.iam.needs import launching, listing, needs_of
from localcloud.iam.principals import Principal, RootKey, find_key, find_role, principal_of, root
from localcloud.iam.refusals import unauthenticated, unauthorized
from localcloud.iam.s3_resources import bucket_of
from localcloud.problems import Problem
from localcloud.requestlog import ARRIVED, MISSING

if TYPE_CHECKING:
    from localcloud.call import Call
    from localcloud.cloud import Cloud

log = logging.getLogger(__name__)

ACCOUNT_HEADER = "HTTP_X_MOTO_ACCOUNT_ID"
"""Where moto reads which account a request is for."""
NO_ROOT = Problem("AccessDenied", 403, "Roles may not be assumed by root accounts.")


class Enforcement:
    """A gate that lets only those requests pass whose signer is known and allowed to make them.

    Args:
        cloud: The cloud.
        root_keys: The keys of accounts' roots.
        clock: Seconds since the epoch.
    """

    def __init__(self, cloud: Cloud, root_keys: Iterable[RootKey], clock: Callable[[], float] = time.time) -> None:
        self._cloud = cloud
        self._roots = {key.access_key: key for key in root_keys}
        self._clock = clock

    def __call__(self, call: Call) -> Problem | None:
        """Return the error to answer with, or None when the request may pass."""
        found = self._authenticate(call)
        if isinstance(found, Problem):
            return found
        environ: Any = call.environ
        # Whatever the client says, and also for root keys, which moto does not know.
        environ[ACCOUNT_HEADER] = found.account
        return self._authorize(call, found)

    def principal(self, access_key: str) -> Principal | None:
        """Return whose key it is, or None."""
        if access_key in self._roots:
            return root(self._roots[access_key].account)
        found = find_key(access_key)
        return principal_of(*found) if found else None

    def _authenticate(self, call: Call) -> Principal | Problem:
        environ, body = call.environ.get(ARRIVED) or (call.environ, call.body)
        signed = sigv4.signature_of(environ)

        def fault(kind: str) -> Problem:
            # What names no service, and no action in a form, is for S3.
            service = "s3" if not call.service and " " in call.action else call.service
            return unauthenticated(kind, service, call.protocol)

        if signed is None:
            return fault("old method" if sigv4.is_signed_otherwise(environ) else "unsigned")
        expires = None
        if signed.access_key in self._roots:
            secret, token = self._roots[signed.access_key].secret_key, ""
        else:
            found = find_key(signed.access_key)
            if found is None or found[1].status != "Active":
                return fault("unknown key")
            session = getattr(found[1], "session", None)
            secret, token = found[1].secret_access_key, session.token if session else ""
            expires = session.expires if session else None
            if session and not session.role_arn and call.service == "iam":
                return fault("unknown key")  # a session of a user may not call IAM without a second factor
        if token and not signed.token:
            return fault("unknown key")
        if token != signed.token:
            return fault("wrong token")
        problem = self._check(signed, secret, environ, body)
        if problem:
            return fault(problem)
        if expires is not None and utcnow() > expires:
            return fault("expired session")
        return self.principal(signed.access_key) or fault("unknown key")

    def _check(self, signed: sigv4.Signature, secret: str, environ: Mapping[str, Any], body: bytes) -> str:
        """Return what is wrong with a signature, as `refusals` calls it; "" when nothing is."""
        try:
            late = sigv4.skew(signed, self._clock())
        except ValueError:
            return "wrong signature"
        presigned = signed.expires is not None
        if not sigv4.is_genuine(signed, secret, environ, body):
            return "wrong signature"
        if presigned and late > 0:
            return "late"
        if not presigned and abs(late) > sigv4.SKEW_SECONDS:
            return "wrong time"
        return "wrong body" if sigv4.has_other_body(environ, body) else ""

    def _authorize(self, call: Call, principal: Principal) -> Problem | None:
        if principal.kind == "Account":
            if call.service == "sts" and call.action == "AssumeRole":
                return NO_ROOT
            if call.service != "s3":
                return None
        common = common_keys(call, principal)
        try:
            needs = needs_of(call, self._cloud, principal.account)
            template, launches = launching(call, self._cloud, principal.account)
        except Exception as error:
            if principal.kind == "Account":
                return None
            if not isinstance(error, UnmappedError):
                log.exception("cannot say which resources %s:%s is about", call.service, call.action)
            unknown = f"the embedded cloud cannot evaluate {call.service}:{call.action} ({error})"
            return self._deny(call, None, f"User: {principal.arn} is not authorized: {unknown}")
        for need in [*needs, *launches]:
            reason = self._refusal(call, principal, need, common)
            if reason is None:
                continue
            if need in launches and need not in needs:
                return self._deny(call, need, f"You are not authorized to use launch template: {template}", reason)
            resource = f'"{need.resource}"' if call.service == "s3" else need.resource
            text = f"User: {principal.arn} is not authorized to perform: {need.action} on resource: {resource}"
            return self._deny(call, need, f"{text} {reason}", reason)
        return self._hidden(call, principal, common)

    def _refusal(self, call: Call, principal: Principal, need: Need, common: Mapping[str, Any]) -> str | None:
        request = Request(need.action, need.resource, Keys(need, common))
        if need.action.startswith("s3:"):
            return refusal(principal, request, self._bucket_policy(need))
        if need.action in {"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}:
            role = find_role(need.resource)
            account = need.resource.split(":")[4] if need.resource.startswith("arn:") else ""
            document = role.assume_role_policy_document if role else ""
            return refusal(principal, request, Guard(document, account, "role trust policy", decides=True))
        return refusal(principal, request)

    @staticmethod
    def _bucket_policy(need: Need) -> Guard | None:
        owner, bucket = bucket_of(need.resource.removeprefix("arn:aws:s3:::").partition("/")[0])
        if bucket is None:
            return None
        policy = bucket.policy
        return Guard(policy.decode() if isinstance(policy, bytes) else policy or "", owner)

    def _hidden(self, call: Call, principal: Principal, common: Mapping[str, Any]) -> Problem | None:
        """Refuse to say that an object is missing to those who may not list its bucket, as S3 does."""
        if call.service != "s3" or call.action not in {"GetObject", "HeadObject"} or principal.kind == "Account":
            return None
        name, key = str(call.params.get("Bucket", "")), str(call.params.get("Key", ""))
        owner, bucket = bucket_of(name)
        if bucket is None or bucket.keys.get(key) is not None:
            return None
        need = listing(name, owner)
        reason = self._refusal(call, principal, need, common)
        if reason is None:
            return None
        text = f'User: {principal.arn} is not authorized to perform: s3:ListBucket on resource: "{need.resource}"'
        return self._deny(call, need, f"{text} {reason}", reason)

    @staticmethod
    def _deny(call: Call, need: Need | None, text: str, reason: str = "") -> Problem:
        """Return the service's refusal, and note for the request log what would have let the request pass."""
        environ: Any = call.environ
        if need is None:
            environ[MISSING] = text
        elif reason.startswith("with an explicit deny"):
            environ[MISSING] = f"{need.action} on {need.resource}: denied {reason}"
        else:
            statement = {"Effect": "Allow", "Action": need.action, "Resource": need.resource}
            environ[MISSING] = json.dumps(statement) + (f" ({reason})" if reason else "")
        return unauthorized(call.service, call.protocol, text)
