"""What a case works with: the stack, its service, and the actions of a person on them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from examples.webapp.build import NAME, build
from prove.helpers import changed, wait
from prove.result import CaseResult
from rebake import config, tags
from rebake.image.channels import parameter_name, service_name
from rebake.release import record as release
from rebake.release.record import ReleaseOutcome, ReleaseRecord
from rebake.release.stage import Stage
from stack import fault, status
from stack.api import RUN_ENDS
from stack.console import detail
from stack.errors import StackError
from stack.follow import Follower, RunOutcome
from stack.layout import Layout
from stack.load import Load
from stack.settings import ACCESS_KEY, ENVIRONMENT
from stack.up import Stack

SERVICE: Final = NAME
GROUP: Final = f"{SERVICE}-{ENVIRONMENT}"
RATE: Final = 200
"""Requests a second throughout each case."""
SIZE: Final = 3
"""Instances that the fleet has, unless a case says otherwise."""


@dataclass(frozen=True)
class Run:
    """A triggered DAG run: when, in seconds since the epoch, and with what configuration."""

    dag_id: str
    run_id: str
    requested_at: float
    conf: Mapping[str, Any]


def artifacts(layout: Layout) -> Path:
    """Return the folder of this stack's artifacts: those of another stack may differ under the same version."""
    return layout.state / "artifacts"


@dataclass
class Scene:
    """One case's view of the stack.

    Args:
        stack: It is up, the service is deployed, and this is its only user.
        results: Where the results of the cases are kept.
        rate: Requests a second.
        load: The requests sent meanwhile.
        runs: The runs that the case triggered, in order.
        notes: Other actions of the case, for the timeline.
    """

    stack: Stack
    results: Path
    rate: float = RATE
    load: Load | None = None
    runs: list[Run] = field(default_factory=list)
    notes: list[tuple[float, str, str]] = field(default_factory=list)

    def note(self, kind: str, text: str) -> None:
        """Put a moment on the timeline; `kind` is one of `prove.timeline.COLOURS`."""
        detail(text)
        self.notes.append((time.time(), kind, text))

    # Runs

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        """Trigger a run without waiting for it."""
        self.stack.api.wait_for_dag(dag_id)
        self.stack.api.unpause(dag_id)
        requested_at = time.time()
        run = Run(dag_id, self.stack.api.trigger(dag_id, conf), requested_at, conf)
        self.runs.append(run)
        detail(f"{dag_id} {' '.join(f'{name}={value}' for name, value in conf.items())}".rstrip())
        return run

    def follow(self, run: Run) -> RunOutcome:
        """Watch a run until it has ended."""
        return Follower(self.stack.api, run.dag_id, run.run_id, self._aside).follow()

    def deploy(self, version: str, **conf: Any) -> Run:
        """Deploy a version, follow the run to its end, and return it."""
        run = self.trigger(f"deploy_{SERVICE}", version=version, **conf)
        self.follow(run)
        return run

    def record(self, run: Run) -> ReleaseRecord:
        """Return the release record of a run that has ended.

        Raises:
            StackError: it has left none.
        """
        for record in self._records():
            if record.dag_run == f"{run.dag_id}/{run.run_id}" and record.outcome is not ReleaseOutcome.IN_PROGRESS:
                return record
        raise StackError(f"{run.dag_id}/{run.run_id} has left no release record")

    def state(self, run: Run) -> str:
        """Return the state of a run, as Airflow names it."""
        return self.stack.api.run_state(run.dag_id, run.run_id)

    def refresh_id(self, run: Run) -> str:
        """Return the instance refresh that a run started or adopted; empty if there is none."""
        result = self.stack.api.xcom(run.dag_id, run.run_id, Stage.START_REFRESH)
        return str(result["refresh_id"]) if result else ""

    # Versions

    def running_version(self) -> str:
        """Return the version that every instance runs.

        Raises:
            StackError: they run several.
        """
        versions = self.service()["versions"]
        if len(versions) != 1:
            raise StackError(f"the fleet runs {versions}: expected one version")
        (version,) = versions
        return str(version)

    def other_version(self) -> str:
        """Return a good version that the fleet does not run, with an image if there is one, so that none is baked."""
        running = self.running_version()
        good = (one.version for one in self._records() if one.is_successful)
        version = next((version for version in good if version != running), None)
        if version is None:
            return self.new_version()
        build(version, artifacts(self.stack.layout))
        return version

    def new_version(self, broken: str = "") -> str:
        """Build the artifact of a version that was never baked, broken on purpose if requested; return the version."""
        images = self.stack.cloud.client("ec2").describe_images(Owners=["self"])["Images"]
        labels = [tags.read(image) for image in images]
        baked = [one.get(tags.VERSION, "") for one in labels if one.get(tags.SERVICE) == SERVICE]
        version = f"1.{1 + max((int(one.split('.')[1]) for one in baked), default=-1)}.0"
        build(version, artifacts(self.stack.layout), broken)
        return version

    def version_that_ended(self, reason: str) -> str | None:
        """Return the version of the newest deployment that ended for this reason, or None: its image is there."""
        return next((one.version for one in self._records() if one.reason == reason), None)

    # The fleet

    def service(self) -> dict[str, Any]:
        """Return the service's entry in `make status`."""
        found: dict[str, Any] = status.collect(self.stack)["services"][SERVICE]
        return found

    def channel(self, name: str) -> str | None:
        """Return the image that a channel of the service names, such as `candidate`."""
        found = self.stack.cloud.client("ssm").get_parameters(Names=[parameter_name(service_name(SERVICE), name)])[
            "Parameters"
        ]
        return str(found[0]["Value"]) if found else None

    def refresh(self, refresh_id: str) -> dict[str, Any]:
        """Return an instance refresh of the fleet, as AWS describes it."""
        client = self.stack.cloud.client("autoscaling")
        answer = client.describe_instance_refreshes(AutoScalingGroupName=GROUP, InstanceRefreshIds=[refresh_id])
        found: dict[str, Any] = answer["InstanceRefreshes"][0]
        return found

    def newest_refresh(self) -> dict[str, Any]:
        """Return the newest instance refresh of the fleet; empty before the first."""
        client = self.stack.cloud.client("autoscaling")
        found = client.describe_instance_refreshes(AutoScalingGroupName=GROUP, MaxRecords=1)["InstanceRefreshes"]
        return dict(found[0]) if found else {}

    def wait_for_task(self, run: Run, task: str, seconds: float = 600) -> None:
        """Wait until a task of a run is at work.

        Raises:
            StackError: the run ends before it is.
        """

        def is_running() -> bool:
            self._require(run)
            tasks = self.stack.api.tasks(run.dag_id, run.run_id)
            return any(one.name == task and one.state == "running" for one in tasks)

        wait(f"{task} at work", is_running, seconds)

    def wait_for_progress(self, run: Run, percentage: int, seconds: float = 600) -> str:
        """Wait until the refresh of a run has progressed so far; return its id.

        Raises:
            StackError: the run ends before it has.
        """

        def has_come() -> str:
            self._require(run)
            newest = self.newest_refresh()
            is_ours = newest and newest["InstanceRefreshId"] == self.refresh_id(run)
            return str(newest["InstanceRefreshId"]) if is_ours and newest["PercentageComplete"] >= percentage else ""

        return wait(f"{percentage} % of the refresh", has_come, seconds)

    def scale(self, size: int) -> None:
        """Bring the fleet to so many instances, and wait until all are healthy."""
        self.note("run", f"fleet set to {size} instances")
        self.stack.cloud.client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=size)
        wait(f"{size} healthy instances", lambda: self.is_settled(size), 180)

    def settle(self) -> None:
        """Clean up after a case that crashed: its faults, the fleet's size, its runs."""
        self.clear_faults()
        autoscaling = self.stack.cloud.client("autoscaling")
        (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
        if group["DesiredCapacity"] != SIZE:
            autoscaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=SIZE)
        wait("fleet at rest", self.is_settled, 600)

    def is_settled(self, size: int = SIZE) -> bool:
        """Return whether nobody changes the service, and all of its instances are healthy and of one version."""
        service = self.service()
        healths = [one["health"] for one in service["instances"]]
        return not service["lease"] and healths == ["healthy"] * size and len(service["versions"]) == 1

    # Actions

    def fault(self, **settings: str) -> None:
        """Make the embedded cloud fail, as `make fault` does; the faults of a case end with it."""
        self.note("fault", "fault: " + fault.run(self.stack.cloud, settings).partition(":")[0])

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults, and how often each has fired."""
        found: list[dict[str, Any]] = requests.get(f"{self._admin}/faults", timeout=30).json()
        return found

    def clear_faults(self) -> None:
        """End all faults."""
        fault.run(self.stack.cloud, {"CLEAR": "1"})

    def service_file(self, **sections: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Change sections of the service's file, in this stack's own copy; it is as before afterwards."""
        return changed(self.stack.layout.state / "config" / "services" / f"{SERVICE}.yaml", sections)

    def calls(self, since: float, until: float) -> list[dict[str, Any]]:
        """Return the API requests of the pipeline between two moments, from the embedded cloud's log."""
        entries: list[dict[str, Any]] = requests.get(f"{self._admin}/requests?since={since}", timeout=30).json()
        return [one for one in entries if one["time"] <= until and one["principal"] == ACCESS_KEY]

    # What earlier cases measured

    def measured(self, case: str, figure: str) -> float:
        """Return a figure of a case that ran before.

        Raises:
            StackError: it never ran.
        """
        result = CaseResult.load_from(self.results, case)
        if result is None or figure not in result.findings.figures:
            raise StackError(f"nothing is known of {figure} yet: run the case {case} before this one")
        return result.findings.figures[figure]

    @property
    def _admin(self) -> str:
        return f"{self.stack.settings.cloud_url}/_localcloud"

    def _require(self, run: Run) -> None:
        if (state := self.state(run)) in RUN_ENDS:
            raise StackError(f"{run.dag_id} {dict(run.conf)} has ended too early: {state}")

    def _records(self) -> Iterator[ReleaseRecord]:
        bucket = config.load_environment(ENVIRONMENT).bucket
        return release.records(self.stack.cloud.client("s3"), bucket, SERVICE)

    def _aside(self) -> str:
        return self.load.line() if self.load else ""
