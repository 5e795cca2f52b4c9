"""The actions and resources of S3's operations.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from localcloud.iam import table
from localcloud.iam.context import Values
from localcloud.iam.found import Found
from localcloud.iam.policies import EVERYBODY

if TYPE_CHECKING:
    from localcloud.call import Call

_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "UploadPart": "PutObject",
}
"""The action in policies of an operation that is called otherwise, but for those that `_action_of` derives."""
_OF_A_VERSION = {"DeleteObject", "GetObject", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"}
COPIES = {"CopyObject", "UploadPartCopy"}


@cache
def _action_of(operation: str) -> str:
    """Return an operation's action in policies; who may put a bucket's configuration may delete it, too."""
    if operation in _ACTIONS or table.action("s3", operation):
        return _ACTIONS.get(operation, operation)
    verb, noun = next(
        (each, operation.removeprefix(each)) for each in ("Get", "Put", "Delete", "") if operation.startswith(each)
    )
    bare, verb = noun.removeprefix("Bucket"), "Put" if verb == "Delete" else verb
    for name in (noun, bare, f"{bare}Configuration", noun.removesuffix("Configuration"), f"Bucket{noun}"):
        if known := table.action("s3", f"{verb}{name}"):
            return known.name.removeprefix("s3:")
    return operation


def permissions(call: Call) -> list[tuple[str, str, str, str]]:
    """Return what an operation needs: actions, each with the resource's type, bucket and key."""
    params = call.params
    bucket, key = str(params.get("Bucket", "")), str(params.get("Key", ""))
    if call.action in COPIES:
        source = unquote(str(params.get("CopySource", "")).partition("?")[0]).lstrip("/")
        source_bucket, _, source_key = source.partition("/")
        return [("GetObject", "object", source_bucket, source_key), ("PutObject", "object", bucket, key)]
    action = _action_of(call.action)
    if params.get("VersionId") and action in _OF_A_VERSION:
        action = action.replace("Object", "ObjectVersion", 1)
    if call.action == "DeleteObjects":
        objects = params.get("Delete", {}).get("Objects", [])
        return [(action, "object", bucket, str(one.get("Key", ""))) for one in objects]
    found = [(action, "object" if key else "bucket" if bucket else "", bucket, key)]
    if call.action in {"PutObject", "CreateMultipartUpload"}:
        found += [("PutObjectTagging", "object", bucket, key)] if params.get("Tagging") else []
    return found


def found(kind: str, bucket: str, key: str, call: Call) -> Found:
    """Return a bucket or an object, with the condition keys of a request."""
    owner, record = bucket_of(bucket)
    arn = {"object": f"arn:aws:s3:::{bucket}/{key}", "bucket": f"arn:aws:s3:::{bucket}"}.get(kind, EVERYBODY)
    tags: Mapping[str, str] | None = {}
    if kind == "bucket" and record is not None:
        tags = _s3(owner).tagger.get_tag_dict_for_resource(record.arn)
    return Found(kind, arn, tags, _keys(call, owner), owner)


def bucket_of(name: str) -> tuple[str, Any]:
    """Return the account that owns a bucket, and moto's record of it; ("", None) when there is none."""
    from moto.s3.models import s3_backends

    _, account = s3_backends.bucket_accounts.get(name, ("", ""))
    return (account, _s3(account).buckets.get(name)) if account else ("", None)


def _s3(account: str) -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[account]["aws"]


def _keys(call: Call, owner: str) -> dict[str, Values]:
    environ, params = call.environ, call.params
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    presigned = "X-Amz-Algorithm" in query
    keys: dict[str, Values] = {
        "s3:authtype": ("REST-QUERY-STRING" if presigned else "REST-HEADER",),
        "s3:signatureversion": ("AWS4-HMAC-SHA256",),
        "s3:resourceaccount": (owner,) if owner else (),
        "s3:tlsversion": (),
        "s3:versionid": _value(params.get("VersionId")),
        "s3:locationconstraint": _value((params.get("CreateBucketConfiguration") or {}).get("LocationConstraint")),
        **{f"s3:{name}": _value(query.get(name)) for name in ("prefix", "delimiter", "max-keys")},
        **{f"s3:{name}": _value(environ.get(_header(name))) for name in ("if-match", "if-none-match")},
    }
    for name in ("acl", "content-sha256", "copy-source", "grant-full-control", "grant-read", "grant-write",
                 "metadata-directive", "object-ownership", "server-side-encryption", "storage-class",
                 "server-side-encryption-aws-kms-key-id"):  # fmt: skip
        keys[f"s3:x-amz-{name}"] = _value(environ.get(_header(f"x-amz-{name}")))
    tags = dict(parse_qsl(str(params.get("Tagging", "")))) if isinstance(params.get("Tagging"), str) else {}
    keys |= {f"s3:requestobjecttag/{key.lower()}": (value,) for key, value in tags.items()}
    return keys | {"s3:requestobjecttagkeys": tuple(tags)}


def _header(name: str) -> str:
    return f"HTTP_{name.upper().replace('-', '_')}"


def _value(value: Any) -> Values:
    return (str(value),) if value not in (None, "") else ()
