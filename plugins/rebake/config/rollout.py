"""A service's `rollout`: preferences of the instance refresh, and how long it may take."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from rebake.config.strict import Strict


class RolloutConfig(Strict):
    """Preferences of the instance refresh (Auto Scaling API, RefreshPreferences), and how long it may take."""

    min_healthy_percentage: int = Field(100, ge=0, le=100)
    max_healthy_percentage: int = Field(125, ge=100, le=200)
    instance_warmup: int = Field(60, ge=0, le=3600, description="Seconds; at least the time to become healthy.")
    checkpoints: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        (), description="Percentages of the fleet at which the rollout pauses; the last is 100."
    )
    checkpoint_delay: int = Field(300, ge=0, le=172800, description="Seconds of each pause.")
    bake_time: int = Field(0, ge=0, le=172800, description="Seconds that the whole new fleet must last at the end.")
    alarms: tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...] = Field(
        (), max_length=10, description="Names of CloudWatch alarms; one in ALARM fails the rollout."
    )
    skip_matching: bool = Field(True, description="Keep instances that already run the wanted version.")
    auto_rollback: bool = Field(True, description="Return to the image before when the rollout fails.")
    unhealthy_deadline: int = Field(
        300,
        ge=10,
        le=3600,
        description="Seconds that a new instance may take to become healthy; AWS tries for an hour.",
    )
    timeout: int = Field(3600, ge=60, le=172800, description="Seconds until the run gives up on the refresh.")

    @model_validator(mode="after")
    def _span_is_allowed(self) -> Self:
        if self.max_healthy_percentage - self.min_healthy_percentage > 100:
            raise ValueError("max_healthy_percentage - min_healthy_percentage must be at most 100")
        return self

    @model_validator(mode="after")
    def _lists_are_in_order(self) -> Self:
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ValueError(f"checkpoints {list(self.checkpoints)} must ascend, each percentage once")
        if self.checkpoints and self.checkpoints[-1] != 100:
            raise ValueError(
                f"the last of checkpoints {list(self.checkpoints)} must be 100: AWS calls a rollout successful at its "
                f"last checkpoint, and would leave {100 - self.checkpoints[-1]} % of the fleet on the old version"
            )
        if len(set(self.alarms)) != len(self.alarms):
            raise ValueError(f"alarms {list(self.alarms)} must be named once each")
        return self

    def at_once(self, desired: int) -> int:
        """Return how many of `desired` instances AWS replaces at a time; at least one, whatever the percentages."""
        ceiling = desired * self.max_healthy_percentage // 100
        return max(1, ceiling - self.fewest(desired))

    def fewest(self, desired: int) -> int:
        """Return how many of `desired` instances stay in service at least; AWS rounds up."""
        return -(-desired * self.min_healthy_percentage // 100)

    def dip(self, desired: int) -> str:
        """Return what these percentages take from a fleet of `desired` instances, in words; empty if nothing."""
        if self.min_healthy_percentage == 100:
            return ""
        allowed = f"min_healthy_percentage: {self.min_healthy_percentage} allows a rollout to take instances away"
        if self.fewest(desired) < desired:
            return f"{allowed}: {self.fewest(desired)} of {desired} may be all that serve meanwhile"
        return f"{allowed}; rounded up, it takes none from {desired}, but it would from a larger fleet"

    def shortest(self, desired: int, deregistration_delay: int) -> tuple[int, str]:
        """Return the seconds that a rollout takes at least, and how they add up.

        Args:
            desired: instances to replace.
            deregistration_delay: seconds for which a replaced instance drains.
        """
        batches = -(-desired // self.at_once(desired))
        pauses = len([percentage for percentage in self.checkpoints if percentage < 100])
        parts = {
            f"{batches} batches of instance_warmup {self.instance_warmup} s and deregistration_delay "
            f"{deregistration_delay} s": batches * (self.instance_warmup + deregistration_delay),
            f"{pauses} pauses of checkpoint_delay {self.checkpoint_delay} s": pauses * self.checkpoint_delay,
            f"bake_time {self.bake_time} s": self.bake_time,
        }
        return sum(parts.values()), " + ".join(name for name, seconds in parts.items() if seconds)
