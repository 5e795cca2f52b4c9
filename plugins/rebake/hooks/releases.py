"""Release records in S3: written once, never overwritten; only that of a release in progress is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import ClientError

from rebake.aws_errors import error_code
from rebake.exceptions import ConfigError
from rebake.release import record as release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TAKEN = ("PreconditionFailed", "412")


class ReleasesHook(AwsBaseHook):
    """Thick wrapper around `boto3.client("s3")` for the release records of a bucket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "s3"
        super().__init__(*args, **kwargs)

    @property
    def s3(self) -> S3Client:
        """The typed client."""
        client: S3Client = self.conn
        return client

    def read(self, bucket: str, service: str, release_id: str) -> dict[str, Any] | None:
        """Return a record; none if there is none (S3, GetObject)."""
        return release.read(self.s3, bucket, release.key(service, release_id))

    def records(self, bucket: str, service: str) -> Iterator[dict[str, Any]]:
        """Yield a service's records, newest first, see `release.records`."""
        yield from release.records(self.s3, bucket, service)

    def in_progress(self, bucket: str) -> Iterator[dict[str, Any]]:
        """Yield the records of all services' releases that have no final one (S3, ListObjectsV2 and GetObject).

        Only these are read: what it costs grows with the pages of the list, and not with the releases.
        """
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="releases/")
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        for key in release.latest_first(keys):
            record = release.read(self.s3, bucket, key) if key.endswith(".progress.json") else None
            if record is not None:
                yield record

    def write(self, bucket: str, record: Mapping[str, Any]) -> bool:
        """Write a record unless its name is taken, and return whether it was written (S3, PutObject, If-None-Match).

        Raises:
            ConfigError: the bucket does not exist.
            ValueError: the record does not follow its schema.
        """
        try:
            # S3 itself decides between two writers.
            self._put(bucket, release.key(record["service"], record["release_id"]), record, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) == "NoSuchBucket":
                raise ConfigError(
                    f"bucket {bucket!r} does not exist: make it, or correct `bucket` in the environment's file"
                ) from error
            if error_code(error) in _TAKEN:
                return False
            raise
        return True

    def write_progress(self, bucket: str, record: Mapping[str, Any]) -> None:
        """Write what is known of a release that is on its way, over what was known before (S3, PutObject).

        Raises:
            ValueError: the record does not follow its schema.
        """
        self._put(bucket, release.progress_key(record["service"], record["release_id"]), record)

    def _put(self, bucket: str, key: str, record: Mapping[str, Any], **condition: Any) -> None:
        release.validate(record)
        self.s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=json.dumps(record, indent=2, sort_keys=True).encode() + b"\n",
            ContentType="application/json",
            **condition,
        )
