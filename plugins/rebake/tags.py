"""The closed vocabulary of tags that lead from an AWS resource back to the run that made it."""

import sys
from collections.abc import Mapping
from typing import Any, Final

KIND: Final = "rebake:kind"
"""What the resource is: one of the KIND_* values below. Only resources with this tag are ours."""
SERVICE: Final = "rebake:service"
"""The service, or for a base image the base family."""
ENVIRONMENT: Final = "rebake:environment"
"""The environment whose pipeline made the resource: the name of its file in `config/environments`."""
VERSION: Final = "rebake:version"
COMMIT: Final = "rebake:commit"
BUILD_ID: Final = "rebake:build-id"
TEMPLATE_VERSION: Final = "rebake:template-version"
FINGERPRINT: Final = "rebake:fingerprint"
BASE_AMI: Final = "rebake:base-ami"
AMI: Final = "rebake:ami"
"""On an instance of a fleet: the image that it was launched with."""
DAG_RUN: Final = "rebake:dag-run"
"""`<dag_id>/<run_id>` of the Airflow run: the key by which a retry finds what an earlier try left."""

RELEASE: Final = "rebake:release"
"""On an image: the id of the last release that rolled it out, which names its record."""

CREATED_AT: Final = "rebake:created-at"
"""On a security group of ours, because AWS does not record when one was made: UTC, in ISO 8601."""

REVOKED: Final = "rebake:revoked"
"""On an image that may not be released any more: why; see `rebake.estate.revocation`."""
REVOKED_AT: Final = "rebake:revoked-at"
REVOKED_BY: Final = "rebake:revoked-by"
"""On an image that is revoked because it was baked on one that is: that one."""

COPIED_TO: Final = "rebake:copied-to"
"""On an image, set by whoever copies it: the accounts or regions that it was copied to."""

KIND_BASE_IMAGE: Final = "base-image"
KIND_APP_IMAGE: Final = "app-image"
KIND_BUILDER: Final = "builder"
KIND_PROBE: Final = "probe"
KIND_FLEET: Final = "fleet"

IMAGE_KINDS: Final = frozenset({KIND_BASE_IMAGE, KIND_APP_IMAGE})
"""An image of ours has one of these kinds. Packer writes its tags last: without them a bake was not finished."""


def read(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a resource as AWS describes it: a list of Key and Value, or none at all.

    An image, its snapshots and its instances carry the same texts, thousands of times in an estate: each is kept once.
    """
    return {sys.intern(tag["Key"]): sys.intern(tag["Value"]) for tag in resource.get("Tags") or []}


def dag_run_tag(dag_id: str, run_id: str) -> str:
    """Return the value of `rebake:dag-run`; AWS keeps at most 256 characters of a tag's value."""
    return f"{dag_id}/{run_id}"[:256]
