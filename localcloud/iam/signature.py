"""Signature Version 4: who signed a request, and whether with the secret key. botocore's own signer computes it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from localcloud.requestlog import CHUNKED

SKEW_SECONDS = 15 * 60
STAMP = "%Y%m%dT%H%M%SZ"
HASH = re.compile(r"[0-9a-f]{64}")
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]+)\s*"
)


@dataclass(frozen=True)
class Signature:
    """What a request brings to prove who sent it."""

    access_key: str
    day: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str
    stamp: str
    token: str
    expires: int | None
    """Seconds that a presigned URL is valid; None of a header."""


def signature_of(environ: Mapping[str, Any]) -> Signature | None:
    """Return a request's signature, from its header or its query; None when there is none of version 4."""
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    found = _HEADER.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    if found:
        credential, headers, signature = found["credential"], found["headers"], found["signature"]
        stamp, token = environ.get("HTTP_X_AMZ_DATE", ""), environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")
        expires = None
    elif query.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256":
        credential, headers = query.get("X-Amz-Credential", ""), query.get("X-Amz-SignedHeaders", "")
        signature, stamp = query.get("X-Amz-Signature", ""), query.get("X-Amz-Date", "")
        token, seconds = query.get("X-Amz-Security-Token", ""), query.get("X-Amz-Expires", "")
        expires = int(seconds) if seconds.isdecimal() else 0
    else:
        return None
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":
        return None
    key, day, region, service, _ = parts
    return Signature(key, day, region, service, tuple(headers.split(";")), signature, stamp, token, expires)


def is_signed_otherwise(environ: Mapping[str, Any]) -> bool:
    """Return whether there is a signature of another kind, such as version 2."""
    return (
        bool(environ.get("HTTP_AUTHORIZATION"))
        or re.search(r"(^|&)(AWSAccessKeyId|Signature|X-Amz-Signature)=", environ.get("QUERY_STRING", "")) is not None
    )


def is_genuine(signature: Signature, secret: str, environ: Mapping[str, Any], body: bytes) -> bool:
    """Return whether the request was signed with that secret key, as it arrived."""
    signer = _S3Signer if signature.service == "s3" else _Signer
    auth = signer(Credentials(signature.access_key, secret), signature.service, signature.region)
    path, _, query = str(environ.get("RAW_URI", "/")).partition("?")
    if signature.expires is not None:
        query = "&".join(part for part in query.split("&") if not part.startswith("X-Amz-Signature="))
    request = AWSRequest(
        method=environ["REQUEST_METHOD"],
        url=f"http://{environ.get('HTTP_HOST', '')}{path}{'?' if query else ''}{query}",
        headers=_headers(environ, signature),
        data=body,
    )
    request.context["timestamp"] = signature.stamp
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return hmac.compare_digest(expected, signature.signature)


def has_other_body(environ: Mapping[str, Any], body: bytes) -> bool:
    """Return whether the body is not the one whose hash was signed; S3 allows signing without one, and in chunks."""
    claimed = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
    if CHUNKED in environ:  # what was signed was taken apart on the way
        return False
    return bool(HASH.fullmatch(claimed)) and claimed != sha256(body).hexdigest()


def skew(signature: Signature, now: float) -> float:
    """Return how many seconds ago it was made; a presigned URL's are those since it expired.

    Raises:
        ValueError: it has no time.
    """
    made = datetime.strptime(signature.stamp, STAMP).replace(tzinfo=UTC).timestamp()
    return now - made - (signature.expires or 0)


class _Exact:
    """A signer that takes the headers that were signed, and no others."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPMessage:
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name.lower()] = value
        return headers


class _Signer(_Exact, SigV4Auth):
    """For all services but S3."""


class _S3Signer(_Exact, S3SigV4Auth):
    """For S3, whose paths are signed as they are."""

    def payload(self, request: AWSRequest) -> str:
        return "UNSIGNED-PAYLOAD"  # of a presigned URL; every other request has the hash in a header


def _headers(environ: Mapping[str, Any], signature: Signature) -> dict[str, str]:
    """Return the headers that were signed, as they arrived."""
    variables = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in signature.headers}
    variables |= {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
    return {name: environ.get(variables[name], "") for name in signature.headers}
