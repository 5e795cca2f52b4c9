"""Requests of S3 that moto answers where AWS refuses, and parameters that it ignores.

moto's actions are methods of one class, which these replace; each calls moto's.
"""

import itertools
import re
import time
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import xmltodict
from moto.core.responses import ActionResult
from moto.s3.exceptions import (
    DuplicateTagKeys,
    InvalidArgumentError,
    InvalidContinuationToken,
    InvalidPartOrder,
    MalformedXML,
    MethodNotAllowed,
    MissingKey,
    PreconditionFailed,
)
from moto.s3.models import FakeDeleteMarker
from moto.s3.responses import S3Response
from werkzeug.datastructures import Headers

from localcloud.s3 import exceptions
from localcloud.s3.digests import DEFAULT, checksum, checksums, verify
from localcloud.s3.models import OWNER_ENFORCED

KEY_BYTES: Final = 1024
METADATA_BYTES: Final = 2048
PAGE: Final = 1000
"""Keys that a list returns, and that DeleteObjects takes, at most."""
WEEK: Final = 7 * 24 * 3600
_METADATA: Final = "x-amz-meta-"
_OWNERS_ACLS: Final = ("", "private", "bucket-owner-full-control")
"""Canned ACLs that give nobody more than the owner has."""

_moto: Any = S3Response
_moto_acl_from_headers = _moto._acl_from_headers  # noqa: SLF001 # moto has no seam in any of these
_moto_bucket_response = _moto._bucket_response  # noqa: SLF001
_moto_copy_object = _moto.copy_object
_moto_delete_object = _moto.delete_object
_moto_get_key = _moto._get_key  # noqa: SLF001
_moto_key_response = _moto._key_response  # noqa: SLF001
_moto_key_response_post = _moto._key_response_post  # noqa: SLF001
_moto_list_objects_v2 = _moto.list_objects_v2
_moto_tagging_from_xml = _moto._tagging_from_xml  # noqa: SLF001


def _bucket_response(self: Any, request: Any, full_url: str) -> Any:
    """Answer a request to a bucket: CreateBucket without ACLs, lists in pages of 1,000."""
    _require_validity(self)
    creates = request.method == "PUT" and not urllib.parse.urlsplit(full_url).query
    if creates and self.headers.get("x-amz-acl", "private") != "private" and _ownership(self) == OWNER_ENFORCED:
        raise exceptions.acls_of_bucket()
    size = self.querystring.get("max-keys")
    if size:
        if not size[0].isdecimal():
            raise InvalidArgumentError(
                "Argument maxKeys must be an integer between 0 and 2147483647", "maxKeys", size[0]
            )
        size[0] = str(min(int(size[0]), PAGE))
    return _moto_bucket_response(self, request, full_url)


def _key_response(self: Any, request: Any, full_url: str) -> Any:
    """Answer a request to an object."""
    if len(self.parse_key_name().encode()) > KEY_BYTES:
        raise exceptions.key_too_long()
    metadata = {
        name[len(_METADATA) :]: value for name, value in self.headers.items() if name.lower().startswith(_METADATA)
    }
    if sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items()) > METADATA_BYTES:
        raise exceptions.metadata_too_large()
    _require_validity(self)
    return _moto_key_response(self, request, full_url)


def _key_response_post(self: Any, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
    """CompleteMultipartUpload, with If-Match."""
    if "uploadId" in query:
        _require_conditions(self, key_name)
    return _moto_key_response_post(self, request, body, bucket_name, query, key_name)


def _get_key(self: Any, **arguments: Any) -> Any:
    """Return the object to read, which a delete marker is not."""
    version = self.querystring.get("versionId", [None])[0]
    named = (self.bucket_name, self.parse_key_name(), version)
    if version and isinstance(self.backend.get_object(*named, return_delete_marker=True), FakeDeleteMarker):
        raise MethodNotAllowed
    return _moto_get_key(self, **arguments)


def _complete_multipart_body(_: Any, body: bytes) -> Iterator[tuple[int, str]]:
    """Return the parts to complete an upload with, which have to be in order."""
    parsed: Any = xmltodict.parse(body, force_list={"Part"})
    try:
        parts = [(int(part["PartNumber"]), part["ETag"]) for part in parsed["CompleteMultipartUpload"]["Part"]]
    except (KeyError, TypeError, ValueError):
        raise MalformedXML from None
    numbers = [number for number, _ in parts]
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise InvalidPartOrder
    return iter(parts)


def _get_checksum(self: Any, response_headers: dict[str, Any]) -> tuple[str, str | None]:
    """Return the checksum that an object or part is stored with; S3 computes one for an object that comes without."""
    found = checksums(self.headers, self.raw_body)
    if not found and "uploadId" in self.querystring:
        return "", None
    algorithm, value = next(iter(found.items()), None) or (DEFAULT, checksum(DEFAULT, self.body or b""))
    response_headers[f"x-amz-checksum-{algorithm.lower()}"] = value
    return algorithm, value


def copy_object(self: Any) -> Any:
    """CopyObject, under conditions on the target and the source's ETag."""
    _require_conditions(self, self.parse_key_name())
    wanted = self.headers.get("x-amz-copy-source-if-match")
    if wanted:
        source, _, version = self.headers["x-amz-copy-source"].partition("?versionId=")
        bucket, _, key = urllib.parse.unquote(source).lstrip("/").partition("/")
        found = self.backend.get_object(bucket, key, version_id=version or None)
        if found and not _matches(wanted, found.etag):
            raise PreconditionFailed("x-amz-copy-source-If-Match")
    return _moto_copy_object(self)


def delete_object(self: Any) -> Any:
    """DeleteObject, with If-Match: *, which any object fulfils."""
    key = self.parse_key_name()
    if self.headers.get("If-Match") == "*":
        found = self.backend.get_object(self.bucket_name, key)
        if found is None:
            raise MissingKey(key)
        self.headers = Headers(list(self.headers.items()))
        self.headers["If-Match"] = found.etag
    return _moto_delete_object(self)


def _bucket_response_delete_keys(self: Any, bucket_name: str, **_: Any) -> Any:
    """DeleteObjects, of 1,000 keys at most, of objects that have an ETag, and quietly."""
    parsed: Any = xmltodict.parse(self.body, strip_whitespace=False, force_list={"Object"})["Delete"]
    objects = parsed.get("Object", [])
    if not 1 <= len(objects) <= PAGE:
        raise MalformedXML
    errors, kept = [], []
    for each in objects:
        found = self.backend.get_object(bucket_name, each["Key"]) if "ETag" in each else None
        if "ETag" not in each or (found and _matches(each["ETag"], found.etag)):
            kept.append(each)
        else:
            error = PreconditionFailed("If-Match") if found else MissingKey(each["Key"])
            errors.append({"Key": each["Key"], "Code": error.code, "Message": error.message})
    bypass = self.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
    deleted, locked = self.backend.delete_objects(bucket_name, kept, bypass)
    errors += [{"Key": key, "Code": "AccessDenied", "Message": "Access Denied"} for key in locked]
    if parsed.get("Quiet") == "true":
        deleted = []
    results = [
        {"Key": key, "VersionId": version, "DeleteMarkerVersionId": marker, "DeleteMarker": True if marker else None}
        for key, version, marker in deleted
    ]
    self.data["Action"] = "DeleteObjects"
    return self.serialized(ActionResult({"Deleted": results, "Errors": errors}))


def list_objects_v2(self: Any) -> Any:
    """ListObjectsV2, which goes on from no token but those that it returned."""
    token = self.querystring.get("continuation-token", [None])[0]
    if token and token not in self.backend._pagination_tokens:  # noqa: SLF001 # moto has no seam here
        raise InvalidContinuationToken
    return _moto_list_objects_v2(self)


def _acl_from_headers(self: Any, headers: Any) -> Any:
    """Return the ACL that a request sets, in a bucket that has ACLs."""
    grants = any(name.lower().startswith("x-amz-grant-") for name, _ in headers.items())
    if (grants or headers.get("x-amz-acl", "") not in _OWNERS_ACLS) and _ownership(self) == OWNER_ENFORCED:
        raise exceptions.acls_not_supported()
    return _moto_acl_from_headers(self, headers)


def _tagging_from_xml(self: Any) -> dict[str, str]:
    """Return the tags of a request, which has no key twice."""
    tags: dict[str, str] = _moto_tagging_from_xml(self)
    if self.body.count(b"<Key>") > len(tags):
        raise DuplicateTagKeys
    return tags


def _require_validity(self: Any) -> None:
    """Make sure that a request is not presigned for another time, and that its body is what was sent."""
    until = _presigned_until(dict(urllib.parse.parse_qsl(self.parsed_url.query)))
    if until is not None and until < time.time():
        raise exceptions.access_denied("Request has expired")
    verify(self.headers, self.body or b"", self.raw_body or b"")


def _presigned_until(query: dict[str, str]) -> float | None:
    """Return when a presigned address expires, by its parameters of either version; None for another request."""
    if "X-Amz-Expires" in query:
        seconds = query["X-Amz-Expires"]
        if not re.fullmatch(r"-?\d{1,18}", seconds, re.ASCII):
            raise exceptions.query_parameters("X-Amz-Expires should be a number")
        if int(seconds) < 0:
            raise exceptions.query_parameters("X-Amz-Expires must be non-negative")
        if int(seconds) > WEEK:
            raise exceptions.query_parameters(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
                "than 604800 seconds"
            )
        if "X-Amz-Date" not in query:
            raise exceptions.query_parameters(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
        try:
            signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            message = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
            raise exceptions.query_parameters(message) from None
        return signed.timestamp() + int(seconds)
    if "Signature" in query and "Expires" in query:
        if not re.fullmatch(r"-?\d{1,18}", query["Expires"], re.ASCII):
            raise exceptions.access_denied(f"Invalid date (should be seconds since epoch): {query['Expires']}")
        return int(query["Expires"])
    return None


def _require_conditions(self: Any, key: str) -> None:
    """Make sure that what is written over is what the request expects."""
    found = self.backend.get_object(self.bucket_name, key)
    wanted = self.headers.get("If-Match")
    if wanted and not found:
        raise MissingKey(key)
    if wanted and not _matches(wanted, found.etag):
        raise PreconditionFailed("If-Match")
    if found and self.headers.get("If-None-Match") == "*":
        raise PreconditionFailed("If-None-Match")


def _matches(wanted: str, etag: str) -> bool:
    return wanted == "*" or wanted.strip('"') == etag.strip('"')


def _ownership(self: Any) -> str:
    """Return who owns the objects of the request's bucket, or of the one that it makes."""
    bucket = self.backend.buckets.get(self.bucket_name)
    return self.headers.get("x-amz-object-ownership") or (bucket.ownership_rule if bucket else OWNER_ENFORCED) or ""
