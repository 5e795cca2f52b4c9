"""S3: moto's, with AWS's limits, checksums, conditions, and the settings that new buckets have."""


def install() -> None:
    """Patch moto's S3."""
    import moto.s3.models
    from moto.s3.models import s3_backends
    from moto.s3.responses import S3Response

    from localcloud.adoption import adopt, answer_with
    from localcloud.s3 import responses
    from localcloud.s3.models import LocalBucket, LocalS3Backend

    moto.s3.models.FakeBucket = LocalBucket  # type: ignore[misc] # moto creates them by this name
    adopt(s3_backends, LocalS3Backend)
    answer_with(responses, S3Response, "s3")
