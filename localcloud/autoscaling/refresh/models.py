"""One instance refresh: its states, its counters, and its form in DescribeInstanceRefreshes."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.autoscaling.templates import TemplateRef

    from .preferences import Preferences

log = logging.getLogger(__name__)

RETENTION = 42 * 24 * 3600.0  # seconds that AWS remembers a refresh


class Status(StrEnum):
    """The states of a refresh, by AWS's names."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    BAKING = "Baking"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    ROLLBACK_SUCCESSFUL = "RollbackSuccessful"
    ROLLBACK_FAILED = "RollbackFailed"


_ENDS = {Status.SUCCESSFUL, Status.FAILED, Status.CANCELLING, Status.ROLLBACK_IN_PROGRESS}
NEXT: dict[Status, set[Status]] = {
    Status.PENDING: {Status.IN_PROGRESS, Status.CANCELLING, Status.FAILED},
    Status.IN_PROGRESS: {Status.BAKING, *_ENDS},
    Status.BAKING: _ENDS,
    Status.ROLLBACK_IN_PROGRESS: {Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED, Status.CANCELLING},
    Status.CANCELLING: {Status.CANCELLED},
}
"""The legal transitions; the other states are final."""

ACTIVE = frozenset(NEXT)
CAN_ROLL_BACK = frozenset({Status.IN_PROGRESS, Status.BAKING})
CAN_CANCEL = frozenset({Status.PENDING, Status.IN_PROGRESS, Status.BAKING, Status.ROLLBACK_IN_PROGRESS})


class IllegalTransitionError(RuntimeError):
    """Raised on an illegal state transition: a bug in this emulation."""


@dataclass(frozen=True)
class Mark:
    """Which refresh launched an instance, and whether while rolling back."""

    refresh_id: str
    rolling_back: bool = False


@dataclass(eq=False)
class InstanceRefresh:
    """One refresh of one group."""

    group_name: str
    preferences: Preferences
    desired: Mapping[str, Any] | None  # the request's DesiredConfiguration
    target: TemplateRef | None  # where new instances come from; None: the group's launch configuration
    original: TemplateRef | None  # the group's own template before, which a rollback returns to
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: Status = Status.PENDING
    status_reason: str | None = None
    percentage_complete: int = 0
    instances_to_update: int = 0
    start_time: datetime | None = None
    end_time: datetime | None = None
    rollback: dict[str, Any] | None = None
    # By the clock, in seconds
    began_at: float = 0.0
    ended_at: float | None = None
    progressed_at: float = 0.0
    paused_until: float | None = None  # None: not waiting at a checkpoint
    bake_until: float = 0.0
    # For the engine
    skipped: set[str] = field(default_factory=set)  # instances that already matched
    checkpoints_passed: int = 0
    capacity: int = 0  # the group's, as last seen
    most_ready: int = 0
    cancel_waits: bool = True
    baking: list[Any] = field(default_factory=list)  # instances that may not break until it ends

    @property
    def is_active(self) -> bool:
        """Whether it blocks another refresh of the group."""
        return self.status in ACTIVE

    @property
    def rolling_back(self) -> bool:
        """Whether instances are being returned to the original template."""
        return self.status is Status.ROLLBACK_IN_PROGRESS

    @property
    def replaces_nothing(self) -> bool:
        """Whether the group's capacity is left to the group: while baking, and while waiting at a checkpoint."""
        return self.status is Status.BAKING or self.paused_until is not None

    @property
    def mark(self) -> Mark:
        """The mark of instances that are launched for it now."""
        return Mark(self.id, self.rolling_back)

    @property
    def source(self) -> TemplateRef | None:
        """Where instances are launched from now."""
        return self.original if self.rolling_back or not self.is_active else self.target

    def enter(self, status: Status, now: float, reason: str | None = None) -> None:
        """Change state."""
        if status not in NEXT.get(self.status, ()):
            raise IllegalTransitionError(f"refresh {self.id} of {self.group_name}: {self.status} -> {status}")
        self.status, self.status_reason, self.paused_until = status, reason, None
        log.info("instance refresh %s of %s is %s%s", self.id, self.group_name, status, f": {reason}" if reason else "")
        if status is Status.IN_PROGRESS:
            self.start_time, self.began_at, self.progressed_at = datetime.now(UTC), now, now
        if status is Status.ROLLBACK_IN_PROGRESS:
            self.progressed_at, self.most_ready = now, 0
            self.rollback = {
                "RollbackReason": reason or "",
                "RollbackStartTime": datetime.now(UTC),
                "PercentageCompleteOnRollback": self.percentage_complete,
                "InstancesToUpdateOnRollback": self.instances_to_update,
            }
        if status not in ACTIVE:
            self.end_time, self.ended_at = datetime.now(UTC), now

    def pause(self, now: float) -> None:
        """Begin to wait at a checkpoint."""
        self.paused_until = now + self.preferences.checkpoints.delay
        log.info("instance refresh %s of %s waits at checkpoint %d", self.id, self.group_name, self.checkpoints_passed)

    def resume(self, now: float) -> None:
        """Continue after a checkpoint; the wait does not count towards any limit."""
        if self.paused_until is None:
            return
        begun = self.paused_until - self.preferences.checkpoints.delay
        self.began_at += now - begun
        self.progressed_at, self.paused_until = now, None

    def describe(self) -> dict[str, Any]:
        """Return it as DescribeInstanceRefreshes does."""
        wire = {
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": self.group_name,
            "Status": self.status.value,
            "StatusReason": self.status_reason,
            "StartTime": self.start_time,
            "EndTime": self.end_time,
            "PercentageComplete": self.percentage_complete,
            "InstancesToUpdate": self.instances_to_update,
            "Preferences": self.preferences.wire,
            "DesiredConfiguration": self.desired,
            "RollbackDetails": self.rollback,
            "Strategy": "Rolling",
        }
        return {name: value for name, value in wire.items() if value is not None}


class RefreshLog:
    """The refreshes of one group, newest first."""

    def __init__(self) -> None:
        self._records: list[InstanceRefresh] = []

    def add(self, refresh: InstanceRefresh) -> None:
        """Add a refresh."""
        self._records.insert(0, refresh)

    @property
    def active(self) -> InstanceRefresh | None:
        """The one that is under way, if any."""
        return next((refresh for refresh in self._records if refresh.is_active), None)

    def records(self, now: float, ids: Iterable[str] = ()) -> list[InstanceRefresh]:
        """Return those of the last six weeks, only those of the given ids if any are given."""
        wanted = set(ids)
        self._records = [
            refresh for refresh in self._records if refresh.ended_at is None or now - refresh.ended_at < RETENTION
        ]
        return [refresh for refresh in self._records if not wanted or refresh.id in wanted]
