"""The report of a run of `retire_images`: what it did or would do, and why each image stays."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rebake import tags
from rebake.estate.report import RETIRE_IMAGES, Report, Table
from rebake.estate.retirement import protection
from rebake.estate.retirement.protection import Situation
from rebake.estate.retirement.retire import Decision, Plan, Step


class RetireOutcome(StrEnum):
    """What became of one thing that was due."""

    DONE = "done"
    DRY = "dry run"
    """It would have been done."""
    KEPT = "kept"
    """The scan immediately before the change showed a reason to keep it."""
    LEFT = "left"
    """AWS keeps it because something uses it; the next run tries again."""
    WAITS = "waits"
    """Enough was changed for one run."""
    FAILED = "failed"
    """AWS refused."""


@dataclass(frozen=True)
class RetireResult:
    """What became of an image's step, a template's version or a snapshot.

    Attributes:
        thing: its id.
        step: what was due.
        outcome: what came of it.
        why: the reason of what came of it.
        name: what people call it.
        service: whose it is.
    """

    thing: str
    step: str
    outcome: RetireOutcome
    why: str
    name: str = ""
    service: str = ""

    @property
    def row(self) -> tuple[str, ...]:
        """The result as a row of a table."""
        return self.thing, self.service, self.step, str(self.outcome), self.name, self.why


_COLUMNS = ("id", "service", "step", "outcome", "name", "why")


def of_image(decision: Decision, outcome: RetireOutcome, why: str = "") -> RetireResult:
    """Return the result of an image's step; the plan's reason unless another is given."""
    image = decision.image
    service = image.tags.get(tags.SERVICE, "")
    return RetireResult(image.id, str(decision.step), outcome, why or decision.reason, image.name, service)


def report(
    plan: Plan,
    situation: Situation,
    *,
    region: str,
    dry_run: bool,
    images: Sequence[RetireResult],
    versions: Sequence[RetireResult],
    snapshots: Sequence[RetireResult],
    blind_spots: Sequence[str],
) -> Report:
    """Return the report of a run.

    Args:
        plan: what was planned.
        situation: what it was planned on.
        region: the environment's region.
        dry_run: whether nothing was to be changed.
        images: what became of the images that were due.
        versions: of launch template versions.
        snapshots: of snapshots without an image.
        blind_spots: why the run changed nothing, or stopped.
    """
    ours, strange = [], []
    for one in plan.decisions:
        if not protection.foreign(one.image, situation):
            ours.append(one)
        elif tags.KIND in one.image.tags:
            strange.append(one)
    kept = [one for one in ours if one.step is Step.KEEP]
    every = [*images, *versions, *snapshots]
    done = Counter(result.step for result in every if result.outcome in (RetireOutcome.DONE, RetireOutcome.DRY))
    failed = sum(result.outcome is RetireOutcome.FAILED for result in every)
    return Report(
        kind=RETIRE_IMAGES,
        environment=situation.environment,
        region=region,
        at=situation.now,
        title=_title(done, dry_run=dry_run, blind_spots=blind_spots, failed=failed),
        summary={
            "dry run": dry_run,
            "images of this environment": len(ours),
            "images of others": len(plan.decisions) - len(ours),
            "kept by the policy": len(kept),
            "due": len(images),
            **{str(step): done[step] for step in Step if step is not Step.KEEP},
            "launch template versions": done[_DELETE_VERSION],
            "snapshots without an image": done[_DELETE_SNAPSHOT],
            "kept on the second scan": _count(every, RetireOutcome.KEPT),
            "left, in use": _count(every, RetireOutcome.LEFT),
            "waiting for the next run": _count(every, RetireOutcome.WAITS),
            "failed": failed,
        },
        tables=(
            Table("Blind spots", ("what",), tuple((one,) for one in blind_spots)),
            Table("Images that end", _COLUMNS, tuple(result.row for result in images)),
            Table("Launch template versions", _COLUMNS, tuple(result.row for result in versions)),
            Table("Snapshots without an image", _COLUMNS, tuple(result.row for result in snapshots)),
            Table(
                "Fleets without a service file: they run on, and nothing of theirs is removed",
                ("group", "service", "instances"),
                tuple((fleet.group_name, fleet.service, len(fleet.instance_ids)) for fleet in plan.undeclared),
            ),
            _table("Images of ours that are not understood, or another environment's", strange),
            _table("Images that stay", kept),
        ),
    )


_DELETE_VERSION = "delete version"
_DELETE_SNAPSHOT = "delete snapshot"


def of_version(
    name: str, template_id: str, number: int, service: str, outcome: RetireOutcome, why: str
) -> RetireResult:
    """Return the result of a launch template version."""
    return RetireResult(f"{template_id}:{number}", _DELETE_VERSION, outcome, why, name, service)


def of_snapshot(snapshot: protection.Snapshot, outcome: RetireOutcome, why: str) -> RetireResult:
    """Return the result of a snapshot without an image."""
    labels = snapshot.tags
    return RetireResult(
        snapshot.id, _DELETE_SNAPSHOT, outcome, why, labels.get("Name", ""), labels.get(tags.SERVICE, "")
    )


def _count(results: Iterable[RetireResult], outcome: RetireOutcome) -> int:
    return sum(result.outcome is outcome for result in results)


def _title(done: Counter[str], *, dry_run: bool, blind_spots: Sequence[str], failed: int) -> str:
    if blind_spots:
        return f"Stopped: what is in use could not be seen whole; blind spots: {len(blind_spots)}"
    what = ", ".join(f"{step} {number}" for step, number in sorted(done.items())) or "nothing is due"
    return f"{'Dry run: would ' if dry_run and done else ''}{what}{f'; {failed} failed' if failed else ''}"


def _table(title: str, decisions: Iterable[Decision]) -> Table:
    rows = (
        (one.image.id, one.image.tags.get(tags.SERVICE, ""), _day(one.image.created), one.image.name, one.reason)
        for one in decisions
    )
    return Table(title, ("image", "service", "made", "name", "why"), tuple(rows))


def _day(created: str) -> str:
    try:
        return f"{datetime.fromisoformat(created):%Y-%m-%d}"
    except ValueError:
        return created
