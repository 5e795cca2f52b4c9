"""Lifecycle hooks: recorded as they were put, and never waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import LifecycleHook

if TYPE_CHECKING:
    from collections.abc import Mapping

TRANSITIONS = frozenset({"autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"})
RESULTS = frozenset({"CONTINUE", "ABANDON"})
SHORTEST, LONGEST = 30, 7200
LONGEST_WAIT = 172800


class Hook(LifecycleHook):
    """moto's record of a hook, with what PutLifecycleHook was given, this time and before, and no inventions."""

    def __init__(self, group_name: str, spec: Mapping[str, Any]) -> None:
        timeout = spec.get("HeartbeatTimeout")
        if spec.get("LifecycleTransition") not in TRANSITIONS:
            raise ValidationError(f"{spec.get('LifecycleTransition')} is no LifecycleTransition.")
        if timeout is not None and not SHORTEST <= int(timeout) <= LONGEST:
            raise ValidationError(f"HeartbeatTimeout must be from {SHORTEST} to {LONGEST}, not {timeout}.")
        if spec.get("DefaultResult", "ABANDON") not in RESULTS:
            raise ValidationError(f"{spec['DefaultResult']} is no DefaultResult.")
        name, result = spec["LifecycleHookName"], spec.get("DefaultResult")
        super().__init__(name, group_name, spec["LifecycleTransition"], timeout, result)
        self.spec = spec
        self.role_arn = spec.get("RoleARN")  # type: ignore[assignment] # it may have none
        self.notification_target_arn = spec.get("NotificationTargetARN")  # type: ignore[assignment] # as above
        self.notification_metadata = spec.get("NotificationMetadata")
        self.global_timeout = min(LONGEST_WAIT, 100 * self.heartbeat_timeout)
