"""What the stages share that wait for a rollout: deferred, for the refresh and then for the fleet's health."""

import time
from datetime import timedelta
from typing import Any, Final, NoReturn

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config
from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.release.results import Failure
from rebake.rollout.refresh import FleetHealth, Reason, Version
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.rollout import Rollout
from rebake.stages.run_facts import push_failure
from rebake.stages.tooling import run_tag
from rebake.triggers.fleet_health import FleetHealthTrigger
from rebake.triggers.instance_refresh import InstanceRefreshTrigger

STILL_THERE: Final = "StillThere"
"""The final status where the fleet ran the image already, so that no refresh was needed."""
_GRACE: Final = 120
"""Seconds after the trigger's own deadline at which Airflow ends the deferral if the trigger has not."""


class RolloutWait(EnvironmentConnection):
    """Mixin of an operator that waits for a rollout without a worker slot, see `EnvironmentConnection`.

    The deferral itself holds what is waited for, until when, and why a refresh is rolled back or cancelled, so that
    nothing is lost with a triggerer. It travels as `wait`, a mapping with `refresh_id`, which may be empty,
    `launch_template_version`, which every instance must run at the end or empty for any, and `status`.
    """

    service: str
    auto_scaling_group_name: str

    def wait_for_refresh(
        self,
        context: Context,
        wait: dict[str, str],
        *,
        cause: str = "",
        because: str = "",
        roll_back: bool | None = None,
        method_name: str = "refresh_complete",
    ) -> NoReturn:
        """Defer until the refresh is over, for the service's `rollout.timeout` at most.

        Args:
            context: the task's.
            wait: what to wait for.
            cause: why the refresh is rolled back or cancelled; empty if it is to succeed.
            because: the same, in words.
            roll_back: whether to roll back a refresh that goes wrong, instead of cancelling it; by default as the
                service's file has it.
            method_name: the method that goes on then.
        """
        rollout = config.load_service(self.service, self.environment).rollout
        deadline = time.time() + rollout.timeout
        self.defer(
            trigger=InstanceRefreshTrigger(
                auto_scaling_group_name=self.auto_scaling_group_name,
                refresh_id=wait["refresh_id"],
                service=self.service,
                holder=run_tag(context),
                bucket=self.environment.bucket,
                unhealthy_deadline=rollout.unhealthy_deadline,
                roll_back=rollout.auto_rollback if roll_back is None else roll_back,
                cause=cause,
                because=because,
                deadline=deadline,
                poll_seconds=self.environment.poll_seconds,
                **self.connection,
            ),
            method_name=method_name,
            kwargs={"wait": wait},
            timeout=_until(deadline),
        )

    def wait_for_health(self, wait: dict[str, str]) -> NoReturn:
        """Defer until the fleet is healthy, for as long as a new instance may take to become it.

        AWS goes by its own checks and the warm-up; only the load balancer knows whether requests reach an instance.
        """
        rollout = config.load_service(self.service, self.environment).rollout
        deadline = time.time() + rollout.unhealthy_deadline
        self.defer(
            trigger=FleetHealthTrigger(
                auto_scaling_group_name=self.auto_scaling_group_name,
                launch_template_version=wait["launch_template_version"],
                status=wait["status"],
                deadline=deadline,
                poll_seconds=self.environment.poll_seconds,
                **self.connection,
            ),
            method_name="execute_complete",
            kwargs={"wait": wait},
            timeout=_until(deadline),
        )

    def rollout(
        self, context: Context, autoscaling: AutoScalingHook, ami_id: str, wanted: Version, *, by_image: bool
    ) -> Rollout:
        """Return the rollout of an image to the service's group, see `Rollout`."""
        return Rollout(
            autoscaling=autoscaling,
            instances=InstanceHook(**self.connection),
            service=config.load_service(self.service, self.environment),
            group_name=self.auto_scaling_group_name,
            wanted=wanted,
            ami_id=ami_id,
            by_image=by_image,
            requested_at=context["dag_run"].run_after,
            log=self.log,
        )

    def return_to(self, context: Context, autoscaling: AutoScalingHook, ami_id: str, wanted: Version) -> NoReturn:
        """Roll out an image that the fleet ran before, and defer until the fleet is healthy."""
        begun = self.rollout(context, autoscaling, ami_id, wanted, by_image=True).begin()
        version = begun.launch_template_version
        wait = {"refresh_id": begun.refresh_id, "launch_template_version": version, "status": STILL_THERE}
        if not begun.refresh_id:
            self.wait_for_health(wait)
        self.wait_for_refresh(context, wait)

    def refresh_complete(self, context: Context, event: dict[str, Any], wait: dict[str, str]) -> None:
        """Go on to the fleet's health, or to the end of a refresh that is being rolled back or cancelled.

        Raises:
            RolloutFailedError: the refresh did not succeed.
            AirflowSkipException: another run has acquired the lease.
        """
        self.log_progress(event)
        if event["ending"]:
            self.log.warning(
                "rollout of %s: %s: %s; waiting for the end of the refresh",
                self.service,
                event["reason"],
                event["message"],
            )
            self.wait_for_refresh(context, wait, cause=event["reason"], because=event["message"])
        self._raise_if_failed(context, event, wait)
        self.log.info("instance refresh %s: %s", wait["refresh_id"], event["message"])
        self.wait_for_health({**wait, "status": event["status"]})

    def execute_complete(self, context: Context, event: dict[str, Any], wait: dict[str, str]) -> Any:
        """Return the final status.

        Raises:
            RolloutFailedError: the fleet did not become healthy in time.
        """
        self._raise_if_failed(context, event, wait)
        self.log.info("%s", event["message"])
        return event["status"]

    def log_progress(self, event: dict[str, Any]) -> None:
        """Log what the trigger saw: the next trigger of the same try overwrites its log."""
        for line in event["progress"]:
            self.log.info("%s", line)

    def _raise_if_failed(self, context: Context, event: dict[str, Any], wait: dict[str, str]) -> None:
        if event["ok"]:
            return
        reason, message = event["reason"], event["message"]
        if reason == Reason.SUPERSEDED:
            push_failure(context, Failure(reason=reason, message=message))
            raise AirflowSkipException(message)
        raise RolloutFailedError(self._explain(event, wait), reason=reason, summary=message)

    def _explain(self, event: dict[str, Any], wait: dict[str, str]) -> str:
        what = f"instance refresh {wait['refresh_id']}" if wait["refresh_id"] else "no refresh was needed"
        problems = "; ".join(FleetHealth(**event["fleet"]).problems(wait["launch_template_version"]))
        return (
            f"rollout of {self.service} to {self.auto_scaling_group_name}: {event['reason']}: "
            f"{what}: {event['message'].rstrip('.')}. The fleet: {problems or 'no problem is known'}"
        )


def _until(deadline: float) -> timedelta:
    return timedelta(seconds=max(deadline - time.time(), 0) + _GRACE)
