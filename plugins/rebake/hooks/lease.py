"""A service's lease in S3."""

from rebake.hooks.bucket import BucketHook
from rebake.release import lease


class LeaseHook(BucketHook):
    """Thin wrapper around `boto3.client("s3")`, for `rebake.release.lease`; triggers use its asynchronous client."""

    def check(self, bucket: str, service: str, run: str) -> None:
        """Make sure that the run still holds the service's lease, see `lease.check`."""
        lease.check(self.s3, bucket, service, run)
