"""A service's lease in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from rebake.release import lease

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class LeaseHook(AwsBaseHook):
    """Thin wrapper around `boto3.client("s3")`, for `rebake.release.lease`; triggers use its asynchronous client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "s3"
        super().__init__(*args, **kwargs)

    @property
    def s3(self) -> S3Client:
        """The typed client."""
        client: S3Client = self.conn
        return client

    def check(self, bucket: str, service: str, run: str) -> None:
        """Make sure that the run still holds the service's lease.

        Raises:
            SupersededError: another run has, or had, it.
        """
        lease.check(self.s3, bucket, service, run)
