"""Base records and bills of materials in S3: written once, never overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import ClientError

from rebake.aws_errors import error_code
from rebake.base import base_record
from rebake.base.base_record import BaseRecord
from rebake.exceptions import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TAKEN: Final = ("PreconditionFailed", "412")


class BasesHook(AwsBaseHook):
    """Thick wrapper around `boto3.client("s3")` for what is kept of base images in a bucket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "s3"
        super().__init__(*args, **kwargs)

    @property
    def s3(self) -> S3Client:
        """The typed client."""
        client: S3Client = self.conn
        return client

    def read(self, bucket: str, key: str) -> str | None:
        """Return an object's text; none if there is none (S3, GetObject).

        Raises:
            ConfigError: the bucket does not exist.
        """
        try:
            return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            _explain(error, bucket)
            raise

    def write(self, bucket: str, key: str, text: str, content_type: str = "application/json") -> bool:
        """Write an object unless its key is taken, and return whether it was written (S3, PutObject, If-None-Match).

        Raises:
            ConfigError: the bucket does not exist.
        """
        try:
            self.s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType=content_type, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) in _TAKEN:
                return False
            _explain(error, bucket)
            raise
        return True

    def records(self, bucket: str, family: str) -> Iterator[BaseRecord]:
        """Yield a family's records, newest first; each is read when it is asked for (S3, ListObjectsV2, GetObject)."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=base_record.folder(family))
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        for key in sorted(keys, reverse=True):
            text = self.read(bucket, key)
            if text is not None:
                yield BaseRecord.model_validate_json(text)


def _explain(error: ClientError, bucket: str) -> None:
    if error_code(error) == "NoSuchBucket":
        raise ConfigError(
            f"bucket {bucket!r} does not exist: make it, or correct `bucket` in the environment's file"
        ) from error
