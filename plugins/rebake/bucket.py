"""Objects in the environment's bucket: read whole, written whole, under a condition where two may write at once.

Plain functions over a client of S3: operators pass that of `rebake.hooks.bucket`, the stack its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import tenacity
from botocore.exceptions import ClientError

from rebake.aws_errors import error_code
from rebake.exceptions import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MISSING: Final = ("NoSuchKey", "404")
"""Error codes of a read of an object that is not there."""
_LOST: Final = ("PreconditionFailed", "412")
"""Error codes of a conditional write that lost against another writer."""
_UNDECIDED: Final = ("ConditionalRequestConflict", "409")
"""Error codes of one that met another request in progress: S3 wants it sent again."""
_until_decided: Final = tenacity.retry(
    retry=tenacity.retry_if_exception(lambda error: isinstance(error, ClientError) and error_code(error) in _UNDECIDED),
    wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
    stop=tenacity.stop_after_attempt(8),
    reraise=True,
)


def read(s3: S3Client, bucket: str, key: str) -> bytes | None:
    """Return an object's content; none if there is no such object (S3, GetObject).

    Raises:
        ConfigError: the bucket does not exist.
    """
    return read_with_etag(s3, bucket, key)[0]


def read_with_etag(s3: S3Client, bucket: str, key: str) -> tuple[bytes | None, str]:
    """Return an object's content and ETag; none and "" if there is no such object (S3, GetObject).

    Raises:
        ConfigError: the bucket does not exist.
    """
    try:
        with _existing(bucket):
            answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) in MISSING:
            return None, ""
        raise
    return answer["Body"].read(), answer["ETag"]


def write(
    s3: S3Client, bucket: str, key: str, content: str | bytes, content_type: str = "application/json", **condition: Any
) -> None:
    """Write an object, over what was there before (S3, PutObject).

    Raises:
        ConfigError: the bucket does not exist.
    """
    body = content.encode() if isinstance(content, str) else content
    with _existing(bucket):
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type, **condition)


def write_if(
    s3: S3Client,
    bucket: str,
    key: str,
    content: str | bytes,
    content_type: str = "application/json",
    *,
    etag: str = "",
) -> bool:
    """Replace the object that has this ETag, or make the first one if it is empty; return whether that was done.

    S3 itself decides between two writers (PutObject with If-Match or If-None-Match).

    Raises:
        ConfigError: the bucket does not exist.
        ClientError: S3 meets other writers of the object in each of eight attempts.
    """
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    try:
        _until_decided(write)(s3, bucket, key, content, content_type, **condition)
    except ClientError as error:
        # S3 answers If-Match with NoSuchKey where another writer has deleted the object meanwhile.
        if error_code(error) in (*_LOST, *(MISSING if etag else ())):
            return False
        raise
    return True


def keys(s3: S3Client, bucket: str, prefix: str) -> list[str]:
    """Return the keys that begin with a prefix, in their order (S3, ListObjectsV2).

    Raises:
        ConfigError: the bucket does not exist.
    """
    with _existing(bucket):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


def require(s3: S3Client, bucket: str) -> None:
    """Make sure that the bucket can be used (S3, HeadBucket, which answers with bare statuses).

    Raises:
        ConfigError: it does not exist, or belongs to another account, or the pipeline may not use it.
    """
    with _existing(bucket):
        s3.head_bucket(Bucket=bucket)


@contextlib.contextmanager
def _existing(bucket: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code, setting = error_code(error), "`bucket` in the environment's file"
        if code == "NoSuchBucket" or (code == "404" and error.operation_name == "HeadBucket"):
            raise ConfigError(
                f"bucket {bucket} does not exist: it holds Terraform's state and the release records; apply "
                f"infrastructure/pipeline, which makes it, or correct {setting}"
            ) from error
        if code == "403" and error.operation_name == "HeadBucket":
            raise ConfigError(
                f"bucket {bucket} is closed to this connection: it belongs to another account, or the pipeline's "
                f"policy is not attached; see {setting}"
            ) from error
        raise
