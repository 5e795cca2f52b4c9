"""Base records and bills of materials in S3: written once, never overwritten."""

from collections.abc import Iterator

from rebake import bucket as objects
from rebake.base import base_record
from rebake.base.base_record import BaseRecord
from rebake.hooks.bucket import BucketHook


class BasesHook(BucketHook):
    """Thick wrapper around `boto3.client("s3")` for the records and bills of materials of base images."""

    def read(self, bucket: str, key: str) -> str | None:
        """Return an object's text; none if there is none, see `bucket.read`."""
        content = objects.read(self.s3, bucket, key)
        return None if content is None else content.decode()

    def write(self, bucket: str, key: str, text: str, content_type: str = "application/json") -> bool:
        """Write an object unless its key is taken, and return whether it was written, see `bucket.write_if`."""
        return objects.write_if(self.s3, bucket, key, text, content_type)

    def records(self, bucket: str, family: str) -> Iterator[BaseRecord]:
        """Yield a family's records, newest first; each is read when it is needed (S3, ListObjectsV2, GetObject)."""
        for key in reversed(objects.keys(self.s3, bucket, base_record.folder(family))):
            text = self.read(bucket, key)
            if text is not None:
                yield BaseRecord.model_validate_json(text)
