"""Scaling activities: the log of what a group launched and terminated, and why."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

KEPT = 200  # per group; AWS keeps six weeks


@dataclass
class ScalingActivity:
    """One launch or termination; its fields are those that DescribeScalingActivities returns."""

    auto_scaling_group_name: str
    description: str
    cause: str
    status_code: str = "InProgress"
    status_message: str | None = None
    progress: int = 0
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    end_time: datetime | None = None
    details: str = "{}"
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def advance(self, status_code: str, progress: int) -> None:
        """Record progress."""
        self.status_code, self.progress = status_code, progress

    def finish(self, status_code: str = "Successful", message: str | None = None) -> Self:
        """Record the end, and return the activity."""
        self.status_code, self.status_message, self.progress = status_code, message, 100
        self.end_time = datetime.now(UTC)
        return self
