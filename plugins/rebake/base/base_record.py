"""Base records: what is kept of each base image that passed its tests, and how the record is named."""

from datetime import UTC, datetime
from typing import Any

from rebake.config.strict import Strict


class BaseRecord(Strict):
    """One base image. Written once, before it is promoted, and never changed."""

    schema_version: int = 1
    environment: str
    family: str
    ami_id: str
    image_name: str
    fingerprint: str
    template_version: str
    source_image: str
    """The vendor's image that it was baked on."""
    baked_at: datetime
    recorded_at: datetime
    dag_run: str
    """`<dag_id>/<run_id>` of the run that tested and recorded it."""
    assertions: tuple[dict[str, Any], ...]
    """The verdicts, see `rebake.base.verdict.Verdict`."""
    packages: int
    sbom: str
    """Object key of its bill of materials, in the same bucket."""
    diff: str
    """Object key of what differs from the base before."""
    previous_ami: str | None
    """The family's base when this one was recorded; none for the first."""

    @property
    def key(self) -> str:
        """Its object key."""
        return key(self.family, self.baked_at, self.ami_id)


def folder(family: str) -> str:
    """Return what the object keys of a family's records begin with."""
    return f"bases/{family}/"


def key(family: str, baked_at: datetime, ami_id: str) -> str:
    """Return the object key of a record: the keys of a family sort by when its images were baked."""
    return f"{folder(family)}{baked_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{ami_id}.json"
