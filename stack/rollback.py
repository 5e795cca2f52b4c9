"""`make rollback TO=...`: whether there is such a release."""

from rebake import config
from rebake.release import record as release
from rebake.release import rollback
from stack import revoke
from stack.cloud import reading
from stack.settings import ENVIRONMENT
from stack.up import Stack


def check(stack: Stack, service: str, wanted: str) -> None:
    """Check, before a run begins, that a rollback could return to the release, version or image that was named.

    Raises:
        InputError: no release has that name, or it never succeeded; with the releases that can be returned to.
        StackError: the embedded cloud does not answer.
    """
    with reading():
        bucket = config.load_environment(ENVIRONMENT).bucket
        records = list(release.records(stack.cloud.client("s3"), bucket, service))
        rollback.named(service, records, wanted, lambda: revoke.launchable(stack))
