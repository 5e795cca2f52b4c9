"""Which images end, and by which step: decided here, done by `rebake.operators.retire_images`.

An image that nothing protects goes one step a run: deprecated, then disabled, then deregistered with its snapshots.
Between two steps lies at least the time between their ages in the policy, counted from the deprecation on: an image
that is very old on the day that retirement is switched on is announced like any other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from rebake import tags
from rebake.config.policy import Retirement
from rebake.estate.inventory import Estate, Fleet, Image
from rebake.estate.retirement import protection
from rebake.estate.retirement.protection import Situation
from rebake.estate.retirement.pruning import Pruning, prunings

NOTICE: Final = timedelta(minutes=3)
"""Time between a request and the deprecation: EC2 refuses a time that its own clock has passed."""


class Step(StrEnum):
    """What happens to an image."""

    KEEP = "keep"
    DEPRECATE = "deprecate"
    """It can still be launched, but EC2 no longer lists it (EC2, EnableImageDeprecation)."""
    DISABLE = "disable"
    """It cannot be launched; EnableImage undoes that (EC2, DisableImage)."""
    DEREGISTER = "deregister"
    """It is gone, and its snapshots with it (EC2, DeregisterImage and DeleteSnapshot)."""


@dataclass(frozen=True)
class Decision:
    """What happens to one image, and why."""

    image: Image
    step: Step
    reason: str
    since: datetime | None = None
    """From when its age counts, where the age has decided."""


@dataclass(frozen=True)
class Plan:
    """What one run is to do; nothing at all where there are blind spots."""

    decisions: tuple[Decision, ...]
    prunings: tuple[Pruning, ...]
    blind_spots: tuple[str, ...]
    undeclared: tuple[Fleet, ...]

    @property
    def due(self) -> list[Decision]:
        """What is not kept, the oldest first."""
        return sorted(
            (one for one in self.decisions if one.step is not Step.KEEP and one.since),
            key=lambda one: (one.since, one.image.id),
        )


def plan(estate: Estate, situation: Situation, policy: Retirement) -> Plan:
    """Return what is to be done with each image and each launch template version."""
    return Plan(
        decisions=tuple(decide(estate, situation, policy)),
        prunings=tuple(prunings(estate, situation.environment, policy.keep_template_versions)),
        blind_spots=tuple(protection.blind_spots(estate, situation)),
        undeclared=tuple(protection.undeclared(estate, situation)),
    )


def decide(estate: Estate, situation: Situation, policy: Retirement) -> Iterable[Decision]:
    """Yield the decision on each image of the estate."""
    used = protection.in_use(estate)
    counted = _Counted.of(estate.images, situation, policy.keep)
    for image in estate.images:
        why = protected(image, used, situation) or counted.wanted(image, situation, policy)
        yield Decision(image, Step.KEEP, why) if why else _by_age(image, counted.since(image), policy, situation.now)


def protected(image: Image, used: Mapping[str, str], situation: Situation) -> str:
    """Return why an image stays whatever its age and however many there are; empty if nothing protects it.

    Args:
        image: the image.
        used: what is in use, see `protection.in_use`.
        situation: what else is known.
    """
    return (
        protection.foreign(image, situation)
        or protection.unready(image, situation)
        or used.get(image.id, "")
        or _held(image, situation)
        or protection.shared(image)
    )


def _held(image: Image, situation: Situation) -> str:
    release = situation.held.get(image.id)
    return f"release {release} is in progress with it" if release else ""


@dataclass(frozen=True)
class _Counted:
    """The released images of each service and base family, counted from the newest.

    Attributes:
        released: when an image was last released.
        ranks: which an image is among those of its service that may be released again; from 0.
        dropped: when an image was pushed out of the newest ones.
        unreadable: images whose release is not understood.
    """

    released: Mapping[str, datetime]
    ranks: Mapping[str, int]
    dropped: Mapping[str, datetime]
    unreadable: frozenset[str]

    @classmethod
    def of(cls, images: Iterable[Image], situation: Situation, keep: int) -> _Counted:
        released: dict[str, datetime] = {}
        unreadable: set[str] = set()
        groups: dict[tuple[str, str], list[Image]] = defaultdict(list)
        for image in images:
            if protection.foreign(image, situation):
                continue
            try:
                at = released_at(image, situation.promoted)
            except ValueError:
                unreadable.add(image.id)
                continue
            if at:
                released[image.id] = at
                # Revoked images don't count towards `keep`: it is the number of images that a rollback may choose.
                if tags.REVOKED not in image.tags:
                    groups[image.tags[tags.KIND], image.tags[tags.SERVICE]].append(image)
        ranks: dict[str, int] = {}
        dropped: dict[str, datetime] = {}
        for group in groups.values():
            group.sort(key=lambda image: (released[image.id], image.id), reverse=True)
            for rank, image in enumerate(group):
                ranks[image.id] = rank
                if rank >= keep:
                    dropped[image.id] = released[group[rank - keep].id]
        return cls(released, ranks, dropped, frozenset(unreadable))

    def wanted(self, image: Image, situation: Situation, policy: Retirement) -> str:
        """Return why an image is worth keeping for a rollback; empty if it is not."""
        if image.id in self.unreadable:
            return f"its tags are not understood: {tags.RELEASE}={image.tags.get(tags.RELEASE)!r}"
        if self.ranks.get(image.id, policy.keep) < policy.keep:
            return f"one of the newest {policy.keep} released images of {image.tags[tags.SERVICE]}"
        at = self.released.get(image.id)
        if at and situation.now - at < timedelta(days=policy.rollback_window_days):
            return f"released on {at:%Y-%m-%d}, within the rollback window of {policy.rollback_window_days:g} days"
        return ""

    def since(self, image: Image) -> datetime:
        """Return from when the image's age counts: when newer releases pushed it out, or it was made or revoked."""
        moments = [image.created_at, self.released.get(image.id), self.dropped.get(image.id), _revoked_at(image)]
        return max(moment for moment in moments if moment)


def released_at(image: Image, promoted: Mapping[str, datetime]) -> datetime | None:
    """Return when an image was last released; none if it never was. For a base, that is when it was promoted.

    Raises:
        ValueError: it has a release whose id holds no time.
    """
    release = image.tags.get(tags.RELEASE)
    if release is None:
        return promoted.get(image.id)
    found = _TIME.match(release.removeprefix(f"{image.tags[tags.SERVICE]}-"))
    if not found:
        raise ValueError(f"release {release!r} of image {image.id} has no time in its id")
    return datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


_TIME: Final = re.compile(r"(\d{8}T\d{6})-")


def _revoked_at(image: Image) -> datetime | None:
    text = image.tags.get(tags.REVOKED_AT)
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def _by_age(image: Image, since: datetime, policy: Retirement, now: datetime) -> Decision:
    """Return the next step of an image that nothing protects, if its time has come."""
    announced = image.deprecated_at
    if announced is None:
        due, step = since + timedelta(days=policy.deprecate_after_days), Step.DEPRECATE
    elif image.state == "available":
        due, step = _due(since, announced, policy, policy.disable_after_days), Step.DISABLE
    else:
        due, step = _due(since, announced, policy, policy.deregister_after_days), Step.DEREGISTER
    age = f"{(now - since) / timedelta(days=1):.1f} days old"
    since_when = f", deprecated since {announced:%Y-%m-%d}" if announced and announced <= now else ""
    if now < due:
        return Decision(image, Step.KEEP, f"{age}{since_when}: {step} from {due:%Y-%m-%d %H:%M} UTC", since)
    return Decision(image, step, f"{age}{since_when}, and nothing needs it", since)


def _due(since: datetime, announced: datetime, policy: Retirement, days: float) -> datetime:
    requested = announced - NOTICE
    return max(since + timedelta(days=days), requested + timedelta(days=days - policy.deprecate_after_days))
