"""Authenticates each request, and evaluates it by policies, before moto sees it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcloud.iam.authentication import Authenticator, UnauthenticatedError
from localcloud.iam.context import Keys, Need, common_keys
from localcloud.iam.evaluation import Guard, Request, refusal
from localcloud.iam.found import UnmappedError
from localcloud.iam.needs import launching, listing, needs_of
from localcloud.iam.principals import Principal, find_role
from localcloud.iam.refusals import unauthenticated, unauthorized
from localcloud.iam.s3_resources import bucket_of
from localcloud.problems import Problem
from localcloud.requestlog import MISSING
from localcloud.validation import check

if TYPE_CHECKING:
    from localcloud.call import Call
    from localcloud.cloud import Cloud

log = logging.getLogger(__name__)

ACCOUNT_HEADER = "HTTP_X_MOTO_ACCOUNT_ID"
"""Where moto reads which account a request is for."""
NO_ROOT = Problem("AccessDenied", 403, "Roles may not be assumed by root accounts.")


class Enforcement:
    """A gate that lets only those requests pass whose signer is known and allowed to make them."""

    def __init__(self, cloud: Cloud, authenticator: Authenticator) -> None:
        self._cloud = cloud
        self._authenticator = authenticator

    def __call__(self, call: Call) -> Problem | None:
        """Return the error to answer with, or None when the request may pass."""
        try:
            principal = self._authenticator.authenticate(call)
        except UnauthenticatedError as error:
            # What names no service, and no action in a form, is for S3.
            service = "s3" if not call.service and " " in call.action else call.service
            return unauthenticated(str(error), service, call.protocol)
        environ: Any = call.environ
        # Whatever the client says, and also for root keys, which moto does not know.
        environ[ACCOUNT_HEADER] = principal.account
        if principal.kind == "Account" and call.service != "s3":  # only buckets' policies bind it
            return check(call) or NO_ROOT if (call.service, call.action) == ("sts", "AssumeRole") else None
        common = common_keys(call, principal)
        try:
            needs = needs_of(call, self._cloud, principal)
            template, launches = launching(call, self._cloud, principal)
        except Exception as error:  # noqa: BLE001 -- also what moto's lookups and parsers raise: never allowed
            return None if principal.kind == "Account" else self._unmapped(call, principal, error)
        for need in needs:
            problem = self._check(call, principal, need, common)
            if problem:
                return problem
        for need in launches:
            reason = self._refusal(call, principal, need, common)
            if reason:
                return self._deny(call, need, f"You are not authorized to use launch template: {template}", reason)
        return self._hidden(call, principal, common)

    def _check(self, call: Call, principal: Principal, need: Need, common: Mapping[str, Any]) -> Problem | None:
        reason = self._refusal(call, principal, need, common)
        if reason is None:
            return None
        resource = f'"{need.resource}"' if call.service == "s3" else need.resource
        text = f"User: {principal.arn} is not authorized to perform: {need.action} on resource: {resource} {reason}"
        return self._deny(call, need, text, reason)

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
        if need.action == "s3:CreateBucket":
            return None
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
        return self._check(call, principal, listing(name, owner), common)

    @staticmethod
    def _unmapped(call: Call, principal: Principal, error: Exception) -> Problem:
        if not isinstance(error, UnmappedError):
            log.error("cannot say which resources %s:%s is about", call.service, call.action, exc_info=error)
        text = f"the embedded cloud cannot evaluate {call.service}:{call.action} ({error})"
        environ: Any = call.environ
        environ[MISSING] = text
        return unauthorized(call.service, call.protocol, f"User: {principal.arn} is not authorized: {text}")

    @staticmethod
    def _deny(call: Call, need: Need, text: str, reason: str) -> Problem:
        """Return the service's refusal, and note for the request log which statement was missing."""
        statement = {"Effect": "Allow", "Action": need.action, "Resource": need.resource}
        environ: Any = call.environ
        environ[MISSING] = f"{json.dumps(statement)} {reason}"
        return unauthorized(call.service, call.protocol, text)
