"""The environment's bucket: what its hooks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class BucketHook(AwsBaseHook):
    """Thin wrapper around `boto3.client("s3")`, for the functions of `rebake.bucket` and what is built on them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "s3"
        super().__init__(*args, **kwargs)

    @property
    def s3(self) -> S3Client:
        """The typed client."""
        client: S3Client = self.conn
        return client
