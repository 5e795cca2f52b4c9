"""Where a refresh pauses on its way: numbers in, numbers out.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-adding-checkpoints-instance-refresh.html
"""

from dataclasses import dataclass

DEFAULT_DELAY = 3600  # seconds


@dataclass(frozen=True)
class Checkpoints:
    """Percentages of a group's instances, in ascending order, and the seconds to wait at each but the last."""

    percentages: tuple[int, ...] = ()
    delay: int = 0

    @property
    def stop_early(self) -> bool:
        """Whether the refresh ends, and has succeeded, with a part of the group replaced."""
        return bool(self.percentages) and self.percentages[-1] < 100

    def reached(self, ready: int, desired: int) -> int:
        """Return how many checkpoints that many new instances have reached; one reached with the next is skipped."""
        return len([each for each in self.percentages if ready * 100 >= each * desired])

    def goal(self, passed: int, desired: int) -> int:
        """Return how many instances are to be new before the next pause, or at the end; rounded up."""
        percentage = self.percentages[passed] if passed < len(self.percentages) else 100
        return -(-desired * percentage // 100)
