"""The stages of `detect_drift` that scan: everything by the AWS API, and each fleet by Terraform."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context
from botocore.exceptions import ClientError

from rebake import config
from rebake.aws_errors import retry_transient
from rebake.estate.drift import drift, terraform_plan
from rebake.estate.drift.drift import Deployed, Services, View
from rebake.estate.drift.finding import Finding, FindingKind, Unseen
from rebake.estate.drift.results import ScanResult
from rebake.estate.outdated import promotions
from rebake.exceptions import CloudUnreachableError, ConfigError, ToolFailedError, ToolKilledError
from rebake.hooks.estate import EstateHook
from rebake.hooks.exposure import ExposureHook
from rebake.hooks.lease import LeaseHook
from rebake.hooks.registry import RegistryHook
from rebake.release import lease
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.fleet import FleetTerraform, FleetTool
from rebake.stages.tooling import reachable
from rebake.tools import terraform

SCANNED: Final = "scanned"
"""XCom key of the scan's `ScanResult`. Airflow maps `plan_fleets` over nothing but a return value, the lanes."""

_CLOCKS: Final = timedelta(seconds=5)
"""By how much the clocks of two workers may differ."""


def read_services(environment: config.Environment) -> Services:
    """Return every service file: what it declares, or what is wrong with it."""
    found = config.load_services(environment)
    valid = {name: service for name, service in found.items() if not isinstance(service, ConfigError)}
    return Services(valid, {name: str(error) for name, error in found.items() if isinstance(error, ConfigError)})


class ScanEstateOperator(EnvironmentConnection, AwsBaseOperator[LeaseHook]):
    """Compare the AWS API's answers with the registry and the service files; return the fleets to plan, in lanes.

    Nothing is changed. Each lane is a list of fleets that one task plans one after the other. Further XCom key:
    `scanned`, a `ScanResult`.
    """

    aws_hook_class = LeaseHook

    def execute(self, context: Context) -> list[list[dict[str, str]]]:
        """Return the lanes; none where nothing is deployed."""
        services = read_services(self.environment)
        began = datetime.now(UTC)
        policy = self.environment.policy
        with reachable(self.hook):
            seen = self._view({one.base for one in services.valid.values()})
            options: dict[str, Any] = {"environment": self.environment.name, "policy": policy, "now": began}
            scan = drift.scan(seen, services, busy={}, **options)
            # Most fleets have no finding: only of the others it matters whether a run is changing them.
            doubted = {one.service for one in scan.findings if one.kind is FindingKind.IMAGE}
            bucket = self.environment.bucket
            busy = {name: why for name in sorted(doubted) if (why := changed_by(self.hook, bucket, name, began))}
            scan = drift.scan(seen, services, busy=busy, **options)
        ours = drift.fleets(seen.estate, self.environment.name)
        groups = {name: fleet.group_name for name, fleet in ours.items()}
        result = ScanResult(findings=scan.findings, unseen=scan.unseen, groups=groups)
        context["ti"].xcom_push(key=SCANNED, value=result.model_dump(mode="json"))
        self.log.info(
            "%d fleets, %d instances, %d images: %d findings without Terraform",
            *(len(ours), len(seen.estate.instances), len(seen.estate.images), len(scan.findings)),
        )
        lanes = policy.drift.concurrent_plans
        parts = [[asdict(one) for one in scan.deployed[lane::lanes]] for lane in range(lanes)]
        return [part for part in parts if part]

    def _view(self, families: set[str]) -> View:
        """Return what AWS has; the calls grow with pages, groups and base families, never with instances or images."""
        ssm = RegistryHook(**self.connection).ssm
        return View(
            estate=EstateHook(**self.connection).read(),
            groups=ExposureHook(**self.connection).groups(),
            promotions={family: promotions(ssm, family) for family in sorted(families)},
        )


class PlanFleetsOperator(EnvironmentConnection, AwsBaseOperator[LeaseHook]):
    """Plan each fleet of a lane with the image of its current release, and return what the plans would change.

    Nothing is changed, and the state is not locked. A fleet that a run is changing, or has changed meanwhile, is left
    out. A plan that fails is itself a finding; the other fleets are still planned.

    Args:
        fleets: the lane, of `ScanEstateOperator` (templated).
    """

    aws_hook_class = LeaseHook
    template_fields: Sequence[str] = aws_template_fields("fleets")

    def __init__(self, *, fleets: list[dict[str, str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fleets = fleets

    fleet = cached_property(FleetTerraform)

    def on_kill(self) -> None:
        """Stop Terraform."""
        self.fleet.stop()

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the lane's findings, a `ScanResult`.

        Raises:
            ToolMissingError: Terraform is not on this worker.
        """
        found: list[Finding] = []
        unseen: list[Unseen] = []
        with self.fleet.open(context) as tool:
            for fleet in (Deployed(**one) for one in self.fleets):
                began = datetime.now(UTC)
                why = self._busy(fleet.service, began)
                planned = [] if why else self._plan(tool, fleet)
                # What a deployment changed while Terraform planned is no drift.
                why = why or (self._busy(fleet.service, began) if planned else "")
                if why:
                    unseen.append(Unseen(fleet.service, FindingKind.INFRASTRUCTURE, f"{drift.ROLLING}: {why}"))
                else:
                    found += planned
                self.log.info("%s: %s", fleet.service, why or f"{len(planned)} differences")
        return ScanResult(findings=tuple(found), unseen=tuple(unseen)).model_dump(mode="json")

    def _busy(self, service: str, began: datetime) -> str:
        with reachable(self.hook):
            return changed_by(self.hook, self.environment.bucket, service, began)

    def _plan(self, tool: FleetTool, fleet: Deployed) -> list[Finding]:
        try:
            service = config.load_service(fleet.service, self.environment)
            files = tool.files(service, ami_id=fleet.ami_id, version=fleet.version)
            return terraform_plan.findings(fleet.service, tool.runner.plan(*files))
        except (CloudUnreachableError, ConfigError, ToolFailedError, ToolKilledError) as error:
            self.log.warning("%s cannot be planned: %s", fleet.service, error)
            state = terraform.state_key(fleet.service, self.environment.name)
            return [
                Finding(
                    FindingKind.INFRASTRUCTURE,
                    "plan-failed",
                    fleet.service,
                    state,
                    found=str(error)[: terraform_plan.LONGEST],
                )
            ]


def changed_by(hook: LeaseHook, bucket: str, service: str, since: datetime) -> str:
    """Return which run is changing a service, or has since then; empty if none.

    Args:
        hook: whose client is used.
        bucket: the environment's.
        service: the service.
        since: UTC.
    """
    try:
        last = retry_transient(lease.read)(hook.s3, bucket, service)
    except ClientError as error:
        return f"whether a run is changing it is unknown: {error}"
    if last is None:
        return ""
    if last.is_open(datetime.now(UTC)):
        return f"{last.holder} holds the lease"
    ended = last.released_at or last.until
    return f"{last.holder} held the lease until {ended:%H:%M:%S}" if ended > since - _CLOCKS else ""
