"""What the project's own triggers share: a deadline that outlives a restart, and clients that do not block."""

import abc
import time
from typing import Any

from airflow.triggers.base import BaseTrigger


class DeadlineTrigger(BaseTrigger, abc.ABC):
    """Base of triggers that ask AWS again and again until an answer or a deadline.

    The deadline is a point in time, not a span: a triggerer that is restarted builds the trigger anew from
    what `serialize` returned, and must not start counting from zero.

    Args:
        fields: the subclass's own arguments, by name.
        deadline: seconds since the epoch.
        poll_seconds: seconds between two polls.
        aws_conn_id: the Airflow connection.
        region_name: the AWS region.
    """

    def __init__(
        self,
        *,
        fields: dict[str, Any],
        deadline: float,
        poll_seconds: float,
        aws_conn_id: str | None,
        region_name: str | None,
    ) -> None:
        super().__init__()
        self.fields = fields
        self.deadline = deadline
        self.poll_seconds = poll_seconds
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments that build an equal trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                **self.fields,
                "deadline": self.deadline,
                "poll_seconds": self.poll_seconds,
                "aws_conn_id": self.aws_conn_id,
                "region_name": self.region_name,
            },
        )

    @property
    def connection(self) -> dict[str, Any]:
        """Arguments of the hooks."""
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name}

    @property
    def is_over(self) -> bool:
        """Whether another poll would come after the deadline."""
        return time.time() + self.poll_seconds >= self.deadline
