"""`make revoke AMI=... REASON=...`: keep an image from being released, or undo that."""

from collections.abc import Iterable

from rebake import config, tags
from rebake.estate import revocation
from rebake.estate.tasks import EstateTask
from rebake.exceptions import ConfigError
from rebake.release import record as release
from stack import follow
from stack.errors import InputError
from stack.settings import ENVIRONMENT
from stack.up import Stack

DAG_ID = "revoke_image"


def check(ami: str, reason: str, *, undo: bool) -> tuple[str, str]:
    """Return image and reason, validated.

    Raises:
        InputError: the image's id or the reason cannot be right.
    """
    try:
        return revocation.checked(ami, reason, undo=undo)
    except ConfigError as error:
        raise InputError(f"{error} (make revoke AMI=ami-... REASON='...', or UNDO=1)") from error


def run(stack: Stack, ami: str, reason: str, *, undo: bool) -> bool:
    """Run the DAG, print its summary, and return whether it succeeded."""
    outcome = follow.run(stack.api, DAG_ID, {"ami": ami, "reason": reason, "undo": undo})
    summary = stack.api.xcom(outcome.dag_id, outcome.run_id, EstateTask.REVOKE_IMAGE)
    if summary:
        print("\n".join(revocation.lines(summary)))
    return outcome.state == "success"


def marks(stack: Stack) -> dict[str, revocation.Mark]:
    """Return the marks of all revoked images, as they are in AWS now."""
    return revocation.marks(_images(stack)[0])


def launchable(stack: Stack) -> set[str]:
    """Return our images that are available and not revoked."""
    labels, states = _images(stack)
    return revocation.launchable(states, revocation.marks(labels))


def notes(stack: Stack, service: str, images: Iterable[str]) -> list[str]:
    """Return a line for each revoked image that a service runs, and one with the nearest safe release."""
    labels, states = _images(stack)
    revoked = revocation.marks(labels)
    bad = revocation.services_on(revoked, {service: images}).get(service, [])
    if not bad:
        return []
    records = release.records(stack.cloud.client("s3"), config.load_environment(ENVIRONMENT).bucket, service)
    safe = revocation.nearest_safe(records, revocation.launchable(states, revoked))
    return [*(f"{ami_id} {revoked[ami_id].message_for(ami_id)}" for ami_id in bad), revocation.advice(service, safe)]


def _images(stack: Stack) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the tags and the states of our images, by id."""
    pages = (
        stack.cloud.client("ec2")
        .get_paginator("describe_images")
        .paginate(Owners=["self"], IncludeDisabled=True, Filters=[{"Name": "tag-key", "Values": [tags.KIND]}])
    )
    images = [image for page in pages for image in page["Images"]]
    return {one["ImageId"]: tags.read(one) for one in images}, {one["ImageId"]: one["State"] for one in images}
