"""The stage `test_image`: boot a temporary instance of an image, run the service's checks on it, remove it."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context, TaskGroup

from rebake import config
from rebake.exceptions import ProbeFailedError
from rebake.hooks.instance import USABLE_STATES, InstanceHook
from rebake.image.probe import Check, checks_of
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import reachable, run_tag
from rebake.triggers.probe import InstancesTerminatedTrigger, ProbeTrigger

TERMINATION_TIMEOUT: Final = 900
"""Seconds that an instance may take to terminate."""
CLEAN_UP: Final[dict[str, Any]] = {
    "retries": 6,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=2),
}
"""The removal is retried for some minutes: nothing waits for it, and what it leaves costs money."""
LEAST_PROBE: Final = 30
"""Seconds that the checks have at least, even if the triggerer begins late."""


class LaunchProbeOperator(EnvironmentConnection, AwsBaseOperator[InstanceHook]):
    """Launch the temporary instance and return its id.

    A retry adopts the instance that an earlier try of the same run left, and replaces one of another image. A
    try that fails removes what it made, because the teardown does not run for a setup that failed.

    Args:
        ami_id: the image under test (templated).
        subject: name of the service (templated).
    """

    aws_hook_class = InstanceHook
    template_fields: Sequence[str] = aws_template_fields("ami_id", "subject")

    def __init__(self, *, ami_id: str, subject: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ami_id = ami_id
        self.subject = subject

    def load(self) -> config.ProbeSubject:
        """Return what the subject's file declares."""
        return config.load_service(self.subject, self.environment)

    def execute(self, context: Context) -> str:
        """Return the id of a pending or running instance of the image.

        Raises:
            ImageError: the image cannot be launched.
            ConfigError: a configuration file is wrong.
        """
        run = run_tag(context)
        with reachable(self.hook):
            adopted = self._adopt(run)
        if adopted:
            self.log.info("found temporary instance %s that an earlier try launched", adopted)
            return adopted
        try:
            instance_id = self._launch(run, token=str(context["ti"].try_number))
        except BaseException:  # also a signal: whoever stops this task wants nothing left
            with suppress(Exception):
                self._clean_up(run)
            raise
        self.log.info("launched temporary instance %s of %s", instance_id, self.ami_id)
        return instance_id

    def _adopt(self, run: str) -> str | None:
        usable: list[str] = []
        for probe in self.hook.find_probes(run):
            if probe["ImageId"] == self.ami_id and probe["State"]["Name"] in USABLE_STATES and not usable:
                usable.append(probe["InstanceId"])
            else:
                self.log.info("removing temporary instance %s of %s", probe["InstanceId"], probe["ImageId"])
                self.hook.terminate([probe["InstanceId"]])
        return usable[0] if usable else None

    def _launch(self, run: str, token: str) -> str:
        environment = self.environment
        subject = self.load()
        group_id = self.hook.ensure_probe_group(
            run,
            subject.name,
            environment.name,
            environment.network.vpc_id,
            subject.port,
            environment.pipeline_cidrs,
        )
        return self.hook.launch_probe(
            run,
            subject.name,
            environment.name,
            ami_id=self.ami_id,
            instance_type=subject.instance_type,
            group_id=group_id,
            subnet_id=next(iter(environment.network.subnet_ids), ""),
            instance_profile=environment.builder_instance_profile,
            token=token,
            lifetime=subject.probe.timeout + TERMINATION_TIMEOUT,
        )

    def _clean_up(self, run: str) -> None:
        orphans = [probe["InstanceId"] for probe in self.hook.find_probes(run)]
        self.hook.terminate(orphans)
        poll_seconds = self.environment.poll_seconds
        self.hook.wait_terminated(orphans, poll_seconds, TERMINATION_TIMEOUT)
        self.hook.delete_probe_groups(run, poll_seconds)


class ProbeOperator(EnvironmentConnection, AwsBaseOperator[InstanceHook]):
    """Wait until the temporary instance runs and passes every check; return the test report, a `ProbeReport`.

    Holds no worker slot while it waits.

    Args:
        instance_id: the temporary instance (templated).
        subject: name of the service (templated).
        version: the application's version, which checks may expect (templated).
    """

    aws_hook_class = InstanceHook
    template_fields: Sequence[str] = aws_template_fields("instance_id", "subject", "version")

    def __init__(self, *, instance_id: str, subject: str, version: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.instance_id = instance_id
        self.subject = subject
        self.version = version

    def execute(self, context: Context) -> None:
        """Defer until the checks have passed or the probe's timeout is over."""
        subject, checks = self.load(), self.checks()
        probe = subject.probe
        self.log.info("%s has %d s to pass %d checks", self.instance_id, probe.timeout, len(checks))
        self.defer(
            trigger=ProbeTrigger(
                instance_id=self.instance_id,
                port=subject.port or 0,
                checks=[asdict(check) for check in checks],
                deadline=time.time() + probe.timeout,
                least=min(probe.timeout, LEAST_PROBE),
                poll_seconds=self.environment.poll_seconds,
                **self.connection,
            ),
            method_name="execute_complete",
            # Only a safeguard: the trigger keeps its deadline itself, and its event has the reason.
            timeout=timedelta(seconds=probe.timeout + 120),
        )

    def load(self) -> config.ProbeSubject:
        """Return what the subject's file declares."""
        return config.load_service(self.subject, self.environment)

    def checks(self) -> list[Check]:
        """Return the checks to run on the instance."""
        return checks_of(self.load().probe, self.version)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the report that the trigger brought.

        Raises:
            ProbeFailedError: a check did not pass in time, or the instance is gone.
        """
        if not event["ok"]:
            raise ProbeFailedError(f"the image of {self.subject} is bad: {event['message']}")
        report: dict[str, Any] = event["report"]
        self.log.info("%s in %s s: %s", event["message"], report["seconds"], [one["name"] for one in report["checks"]])
        return report


class TerminateProbeOperator(EnvironmentConnection, AwsBaseOperator[InstanceHook]):
    """Terminate the run's temporary instances, wait until they are gone, remove their security group.

    Finds them by the run's tags, so that it also removes what a killed try of the launch left.

    Args:
        instance_id: the temporary instance (templated); only named in the log.
    """

    aws_hook_class = InstanceHook
    template_fields: Sequence[str] = aws_template_fields("instance_id")

    def __init__(self, *, instance_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.instance_id = instance_id

    def execute(self, context: Context) -> None:
        """Terminate and defer, or only remove what is left when no instance is."""
        with reachable(self.hook):
            instance_ids = [probe["InstanceId"] for probe in self.hook.find_probes(run_tag(context))]
        if not instance_ids:
            self.log.info("temporary instance %s is gone already", self.instance_id)
            self.execute_complete(context, {"status": "success"})
            return
        self.hook.terminate(instance_ids)
        self.log.info("terminating %s", ", ".join(instance_ids))
        poll_seconds = self.environment.poll_seconds
        self.defer(
            trigger=InstancesTerminatedTrigger(
                instance_ids=instance_ids,
                waiter_delay=poll_seconds,
                waiter_max_attempts=max(1, int(TERMINATION_TIMEOUT / poll_seconds)),
                **self.connection,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=TERMINATION_TIMEOUT),
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Remove the security group.

        Raises:
            TimeoutError: the instances did not terminate in time.
        """
        if event["status"] != "success":
            raise TimeoutError(f"temporary instances {event['value']} did not terminate: {event['message']}")
        removed = self.hook.delete_probe_groups(run_tag(context), self.environment.poll_seconds)
        self.log.info("removed security groups %s", removed)


def test_image_group(
    *,
    ami_id: Any,
    subject: str,
    version: Any = "",  # noqa: PT028  # no test: it has the name of the stage
    launch_operator: type[LaunchProbeOperator] = LaunchProbeOperator,  # noqa: PT028
    probe_operator: type[ProbeOperator] = ProbeOperator,  # noqa: PT028
) -> tuple[TaskGroup, Any]:
    """Return the task group `test_image`, and the report that its task `probe` returns.

    What follows the group runs once the image has passed, and does not wait until the instance is gone: Airflow leaves
    teardowns out when an arrow leads away from a group.

    Args:
        ami_id: the image under test.
        subject: name of the service, or of what the operators test images of.
        version: the application's version, which checks may expect.
        launch_operator: launches the temporary instance.
        probe_operator: runs the checks.
    """
    with TaskGroup("test_image", tooltip="Boot a temporary instance of the image and check it") as group:
        launch = launch_operator(task_id="launch", ami_id=ami_id, subject=subject)
        instance_id: Any = launch.output
        probe = probe_operator(task_id="probe", instance_id=instance_id, subject=subject, version=version)
        terminate = TerminateProbeOperator(task_id="terminate", instance_id=instance_id, **CLEAN_UP)
        # A teardown runs however the probe ended, as long as the instance was launched.
        launch >> probe >> terminate.as_teardown(setups=launch)
    return group, probe.output


# pytest collects functions named test_*; this one builds tasks.
test_image_group.__test__ = False  # type: ignore[attr-defined]
