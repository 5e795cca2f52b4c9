"""Release records in S3: a final record is written once and never overwritten; that of a release in progress is."""

from collections.abc import Iterator

from rebake import bucket as objects
from rebake.hooks.bucket import BucketHook
from rebake.release import record as release
from rebake.release.record import ReleaseRecord


class ReleasesHook(BucketHook):
    """Thick wrapper around `boto3.client("s3")` for the release records of a bucket."""

    def records(self, bucket: str, service: str) -> Iterator[ReleaseRecord]:
        """Yield a service's records, newest first, see `release.records`."""
        return release.records(self.s3, bucket, service)

    def in_progress(self, bucket: str) -> Iterator[ReleaseRecord]:
        """Yield the records of all services' releases that have no final one, see `release.in_progress`."""
        return release.in_progress(self.s3, bucket)

    def write(self, bucket: str, record: ReleaseRecord) -> ReleaseRecord:
        """Write a final record under its first free name, and return it (S3, PutObject with If-None-Match).

        Where an earlier try of the run has written the same release, that record is returned and nothing is written.
        """
        names = release.release_ids(record.service, record.version, record.requested_at)
        while True:
            named = record.model_copy(update={"release_id": next(names)})
            key = release.key(record.service, named.release_id)
            if objects.write_if(self.s3, bucket, key, _text(named)):
                self.log.info("wrote s3://%s/%s", bucket, key)
                return named
            known = release.read(self.s3, bucket, key)
            if known is not None and known.is_same_release(record):
                self.log.info("release %s was written by an earlier try", known.release_id)
                return known

    def write_progress(self, bucket: str, record: ReleaseRecord) -> None:
        """Write what is known of a release in progress, over what was known before (S3, PutObject)."""
        objects.write(self.s3, bucket, release.progress_key(record.service, record.release_id), _text(record))


def _text(record: ReleaseRecord) -> str:
    return record.model_dump_json(indent=2) + "\n"
