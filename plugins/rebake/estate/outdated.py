"""Whether an image is baked on the newest base of its family; if not, since when a newer one has been promoted.

What was promoted when is the history of the parameter `/rebake/bases/<family>/current`. A base is old from the moment
in which the next one was promoted; later promotions do not change that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rebake.aws_errors import error_code, retry_transient
from rebake.image.channels import CURRENT, base_name, parameter_name

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class Promotion:
    """A base image became its family's current one."""

    ami_id: str
    at: datetime


@dataclass(frozen=True)
class Standing:
    """Where an image stands among the bases of its family.

    Attributes:
        family: the base family.
        base_ami: what the image was baked on.
        newest: the family's current base.
        replaced_at: when a newer base was promoted; none if its own is the newest.
        days: how long ago that was; 0 if its own is the newest.
        outdated: whether that is longer ago than the environment's policy allows.
    """

    family: str
    base_ami: str
    newest: str
    replaced_at: datetime | None
    days: float
    outdated: bool

    @property
    def facts(self) -> dict[str, Any]:
        """A JSON-serialisable dict."""
        at = self.replaced_at.astimezone(UTC).isoformat(timespec="seconds") if self.replaced_at else None
        return {**vars(self), "replaced_at": at, "days": round(self.days, 2)}

    @property
    def text(self) -> str:
        """The standing as a phrase that follows the base's id."""
        if self.replaced_at is None:
            return f"the newest of {self.family}"
        if self.outdated:
            return f"outdated for {_age(self.days)}: {self.family} is at {self.newest}"
        return f"replaced {_age(self.days)} ago: {self.family} is at {self.newest}"


def standing(
    family: str, base_ami: str, promotions: Sequence[Promotion], *, now: datetime, grace_days: float
) -> Standing | None:
    """Return where an image stands; none if its base is not known, or its family never had one.

    Args:
        family: the base family.
        base_ami: what the image was baked on; empty if that is not known.
        promotions: of the family, the oldest first.
        now: the time, UTC.
        grace_days: `policy.outdated_after_days` of the environment.
    """
    if not base_ami or not promotions:
        return None
    newest = promotions[-1].ami_id
    if base_ami == newest:
        return Standing(family, base_ami, newest, None, 0.0, outdated=False)
    last = max((index for index, one in enumerate(promotions) if one.ami_id == base_ami), default=-1)
    # A base that the history has forgotten was replaced before the oldest promotion that it remembers.
    replaced_at = promotions[last + 1].at
    # Two clocks: AWS's may be ahead of ours.
    days = max((now - replaced_at) / timedelta(days=1), 0.0)
    return Standing(family, base_ami, newest, replaced_at, days, outdated=days >= grace_days)


@retry_transient
def promotions(ssm: SSMClient, family: str) -> tuple[Promotion, ...]:
    """Return the promotions of a family that AWS remembers, the oldest first (SSM, GetParameterHistory).

    Parameter Store keeps a parameter's newest 100 versions.
    """
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=parameter_name(base_name(family), CURRENT))
    try:
        versions = [version for page in pages for version in page["Parameters"]]
    except ClientError as error:
        if error_code(error) == "ParameterNotFound":
            return ()
        raise
    versions.sort(key=lambda version: version["Version"])
    return tuple(Promotion(version["Value"], version["LastModifiedDate"]) for version in versions)


def _age(days: float) -> str:
    """Return an age in the largest unit of which there are two."""
    minutes = days * 24 * 60
    if minutes < 120:
        return f"{minutes:.0f} minutes"
    return f"{minutes / 60:.0f} hours" if days < 2 else f"{days:.0f} days"
