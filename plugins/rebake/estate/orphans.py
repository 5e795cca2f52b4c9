"""The temporary resources of bakes and tests, and which of them are orphans. Plain functions.

A temporary thing is ours by its tags, `rebake:kind` and `rebake:environment`. Two kinds of thing cannot have tags: the
key pairs and security groups of a Packer older than 1.7, and an image until Packer has finished it. Those are ours by
the exact form of their names, as long as nobody else has tagged them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from rebake import tags
from rebake.estate.inventory import Tags
from rebake.estate.report import ORPHANS, Report, Table

PACKERS: Final = re.compile(r"packer_([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""What Packer calls a key pair or a security group. The first eight digits are when, in seconds since the epoch."""
PACKERS_GROUP: Final = "Temporary group for Packer"
"""How Packer describes its security groups; AWS never changes a description."""
PROBES: Final = re.compile(r"rebake-probe-[0-9a-f]{16}")
IMAGES: Final = re.compile(r"rebake-[a-z0-9-]+-.+-[0-9a-f]{12}-\d{14}")
"""What a bake calls its image, see `rebake.image.recipe`."""

TEMPORARY: Final = frozenset({tags.KIND_BUILDER, tags.KIND_PROBE})
_EARLIEST: Final = datetime(2013, 1, 1, tzinfo=UTC)
"""Packer is no older, so a name with an earlier time is not of its form."""
_UNREADY: Final = "pending"


class OrphanKind(StrEnum):
    """Kinds of orphans, in the order in which they can be removed: an instance uses what comes after it."""

    INSTANCE = "instance"
    VOLUME = "volume"
    SECURITY_GROUP = "security group"
    KEY_PAIR = "key pair"
    IMAGE = "image"
    SNAPSHOT = "snapshot"


class ReapOutcome(StrEnum):
    """What became of one thing."""

    REMOVED = "removed"
    DRY = "would be removed"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True)
class Temporary:
    """One thing that may be temporary, as AWS shows it."""

    kind: OrphanKind
    id: str
    name: str
    tags: Tags
    made: datetime | None
    """When; none where AWS does not record it."""
    users: tuple[str, ...] = ()
    """What uses it, such as instances that are not terminated."""
    state: str = ""
    description: str = ""


@dataclass(frozen=True)
class Lock:
    """A lock on one of Terraform's states."""

    key: str
    """Object key in the environment's bucket."""
    taken: datetime
    holder: str


@dataclass(frozen=True)
class ReapResult:
    """What became of one thing, and why."""

    thing: Temporary
    outcome: ReapOutcome
    why: str

    @property
    def row(self) -> tuple[str, ...]:
        """The result as a row of a table, of plain values."""
        made = f"{self.thing.made:%Y-%m-%d %H:%M}" if self.thing.made else ""
        return str(self.thing.kind), self.thing.id, self.thing.name, made, str(self.outcome), self.why


def made_at(name: str, labels: Tags) -> datetime | None:
    """Return when a key pair or security group was made, by its tag or by Packer's name; none if neither has it."""
    if tagged := labels.get(tags.CREATED_AT):
        try:
            made = datetime.fromisoformat(tagged)
        except ValueError:
            return None
        return made if made.tzinfo else made.replace(tzinfo=UTC)
    if match := PACKERS.fullmatch(name):
        made = datetime.fromtimestamp(int(match[1], 16), UTC)
        return made if made >= _EARLIEST else None
    return None


def is_ours(thing: Temporary, environment: str) -> bool:
    """Return whether a bake or a test of the environment made it.

    What was made before things were tagged with their environment belongs to every environment.
    """
    if thing.tags.get(tags.ENVIRONMENT, environment) != environment:
        return False
    if thing.kind is OrphanKind.IMAGE:
        is_finished = thing.tags.get(tags.KIND) in tags.IMAGE_KINDS
        return not is_finished and tags.RELEASE not in thing.tags and IMAGES.fullmatch(thing.name) is not None
    if thing.kind is OrphanKind.SECURITY_GROUP and not (
        PROBES.fullmatch(thing.name) or (PACKERS.fullmatch(thing.name) and thing.description == PACKERS_GROUP)
    ):
        return False
    if thing.kind is OrphanKind.KEY_PAIR and not PACKERS.fullmatch(thing.name):
        return False
    if thing.kind in (OrphanKind.SECURITY_GROUP, OrphanKind.KEY_PAIR) and not thing.tags:
        return PACKERS.fullmatch(thing.name) is not None
    return thing.tags.get(tags.KIND) in TEMPORARY


def reason_to_stay(thing: Temporary, *, now: datetime, older_than: timedelta) -> str:
    """Return why a thing of ours is no orphan; empty if it is one.

    Args:
        thing: it.
        now: the time, UTC.
        older_than: the age from which it is an orphan.
    """
    if thing.users:
        return f"in use by {', '.join(thing.users)}"
    if thing.state == _UNREADY and thing.kind in (OrphanKind.IMAGE, OrphanKind.SNAPSHOT):
        return "AWS is still making it"
    if thing.made is None:
        return "its age is unknown: remove it by hand if it is not needed"
    age = now - thing.made
    if age < older_than:
        return f"{age.total_seconds() / 60:.0f} minutes old"
    return ""


def stale(locks: Iterable[Lock], *, now: datetime, older_than: timedelta) -> list[Lock]:
    """Return the locks that are so old that whoever took them is probably gone."""
    return [lock for lock in locks if now - lock.taken >= older_than]


def report(
    results: Iterable[ReapResult],
    locks: Iterable[Lock],
    *,
    environment: str,
    region: str,
    now: datetime,
    dry_run: bool,
    older_than: timedelta,
) -> Report:
    """Return the report of a run.

    Args:
        results: what became of each thing of ours.
        locks: old locks on Terraform's states; they are never removed.
        environment: the environment.
        region: its region.
        now: when, UTC.
        dry_run: whether nothing was to be removed.
        older_than: the age from which a thing is an orphan.
    """
    results, locks = list(results), list(locks)
    of = {outcome: [one for one in results if one.outcome is outcome] for outcome in ReapOutcome}
    gone = [*of[ReapOutcome.REMOVED], *of[ReapOutcome.DRY]]
    columns = ("kind", "id", "name", "made", "outcome", "why")
    return Report(
        kind=ORPHANS,
        environment=environment,
        region=region,
        at=now,
        title=_title(len(gone), len(of[ReapOutcome.FAILED]), len(locks), dry_run=dry_run),
        summary={
            "dry run": dry_run,
            "older than minutes": older_than.total_seconds() / 60,
            **{str(kind): sum(one.thing.kind is kind for one in gone) for kind in OrphanKind},
            "kept": len(of[ReapOutcome.KEPT]),
            "failed": len(of[ReapOutcome.FAILED]),
            "old locks": len(locks),
        },
        tables=(
            Table("Orphans", columns, tuple(one.row for one in [*of[ReapOutcome.FAILED], *gone])),
            Table(
                "Old locks on Terraform's states: make sure that nobody applies, then `terraform force-unlock`",
                ("object", "taken", "by"),
                tuple((lock.key, f"{lock.taken:%Y-%m-%d %H:%M}", lock.holder) for lock in locks),
            ),
            Table("Temporary, and in use or young", columns, tuple(one.row for one in of[ReapOutcome.KEPT])),
        ),
    )


def _title(gone: int, failed: int, locks: int, *, dry_run: bool) -> str:
    done = f"{'Would remove' if dry_run else 'Removed'} {gone} orphans" if gone else "No orphans"
    notes = (f"{failed} could not be removed" if failed else "", f"{locks} old locks" if locks else "")
    return "; ".join([done, *filter(None, notes)])
