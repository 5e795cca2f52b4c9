"""The stages of `detect_drift` that repair: a person's approval, the repair under the service's lease, its release."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException
from pydantic import TypeAdapter

from rebake import config, tags
from rebake.estate.drift import posture, terraform_plan
from rebake.estate.drift.finding import Finding, FindingKind
from rebake.estate.drift.results import RepairOutcome
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.exposure import ExposureHook
from rebake.hooks.image import ImageHook
from rebake.hooks.lease import LeaseHook
from rebake.hooks.network import NetworkHook
from rebake.hooks.registry import RegistryHook
from rebake.image.channels import CURRENT, service_name
from rebake.operators.report_drift import OUTCOME
from rebake.release import lease
from rebake.rollout.refresh import Version
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.fleet import FleetTerraform
from rebake.stages.guards import LeaseGuard
from rebake.stages.tooling import reachable, run_tag
from rebake.stages.waiting import RolloutWait

REPAIRED: Final = "repaired"


class ApproveRepairsOperator(ApprovalOperator):
    """Ask a person to approve the repairs, for as long as policy says; no answer rejects them.

    Waits without a worker slot. Skipped if there is nothing to approve.

    Args:
        **kwargs: those of `ApprovalOperator`; `body` is the question.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(defaults=[self.REJECT], **kwargs)

    def execute(self, context: Context) -> Any:
        """Ask.

        Raises:
            AirflowSkipException: there is nothing to approve.
        """
        if not self.body:
            raise AirflowSkipException("policy requires no approval, or nothing is to be repaired")
        self.response_timeout = timedelta(minutes=config.load_environment().policy.drift.approval_minutes)
        return super().execute(context)


class RepairDriftOperator(RolloutWait, AwsBaseOperator[NetworkHook]):
    """Repair the findings on one service, under the service's lease; skip it while a run is changing it.

    * Posture: closes open ports of security groups, and makes instances require metadata tokens.
    * Infrastructure: plans the fleet with the image of the current release, and applies it if the plan would change
      the findings and nothing else.
    * Image: the same, and then an instance refresh to that image; instances that run it stay.

    The lease is released by `ReleaseLeaseOperator`. A repair is no release: `current` stays, and no record is written.
    Further XCom key: `outcome`, a `RepairOutcome`.

    Args:
        service: name of the service (templated).
        auto_scaling_group_name: its group (templated).
        findings: what to repair, each a `Finding` (templated).
    """

    aws_hook_class = NetworkHook
    template_fields: Sequence[str] = aws_template_fields("service", "auto_scaling_group_name", "findings")

    def __init__(
        self, *, service: str, auto_scaling_group_name: str, findings: list[dict[str, Any]], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.auto_scaling_group_name = auto_scaling_group_name
        self.findings = findings

    lease = cached_property(lambda self: LeaseGuard(self.service, self.environment))
    fleet = cached_property(FleetTerraform)

    def on_kill(self) -> None:
        """Stop Terraform."""
        self.fleet.stop()

    def execute(self, context: Context) -> str:
        """Return the outcome; or defer until the refresh has ended.

        Raises:
            AirflowSkipException: a run is changing the service, or the fleet has changed since the scan.
            ToolFailedError: Terraform failed.
            RolloutFailedError: the refresh failed, or another one is active.
        """
        found = TypeAdapter(list[Finding]).validate_python(self.findings)
        kinds = {one.kind for one in found}
        try:
            with reachable(self.hook):
                self._acquire_lease(context)
                if FindingKind.POSTURE in kinds:
                    self._close([one for one in found if one.kind is FindingKind.POSTURE])
            if kinds - {FindingKind.POSTURE}:
                wanted, ami_id = self._apply(context, found)
                if FindingKind.IMAGE in kinds:
                    self._roll(context, wanted, ami_id)
        except AirflowSkipException as skip:
            self._report(context, f"left alone: {skip}")
            raise
        return self._report(context, REPAIRED)

    def execute_complete(self, context: Context, event: dict[str, Any], wait: dict[str, str]) -> str:
        """Return the outcome, now that the fleet is healthy, see `RolloutWait.execute_complete`."""
        status = super().execute_complete(context, event, wait)
        how = f"by instance refresh {wait['refresh_id']}" if wait["refresh_id"] else "without a refresh"
        return self._report(context, f"{REPAIRED} {how}: {status}")

    def _report(self, context: Context, outcome: str) -> str:
        result = RepairOutcome(service=self.service, outcome=outcome)
        context["ti"].xcom_push(key=OUTCOME, value=result.model_dump(mode="json"))
        self.log.info("%s: %s", self.service, outcome)
        return outcome

    def _acquire_lease(self, context: Context) -> None:
        rollout = config.load_service(self.service, self.environment).rollout
        span = timedelta(seconds=rollout.timeout) + lease.SLACK
        bucket = self.environment.bucket
        taken = lease.acquire_if_free(self.lease.hook.s3, bucket, self.service, run_tag(context), span)
        if taken is None:
            raise AirflowSkipException(f"another run is changing {self.service}; the next scan reports what remains")

    def _close(self, found: list[Finding]) -> None:
        hook = ExposureHook(**self.connection)
        for group in hook.groups():
            for opening in posture.to_close(group, found):
                self.log.warning("closing %s from %s in %s (%s)", opening.ports, opening.source, group.id, group.name)
                hook.close(group.id, opening)
        for instance_id in sorted({one.resource for one in found if one.check == "imdsv1"}):
            self.log.warning("requiring metadata tokens of %s", instance_id)
            hook.require_tokens(instance_id)

    def _apply(self, context: Context, found: list[Finding]) -> tuple[Version, str]:
        """Apply the current image; return the launch template version that launches it, and the image."""
        registry = RegistryHook(**self.connection)
        current = registry.read(service_name(self.service), CURRENT)
        if current is None:
            raise AirflowSkipException(f"{self.service} has no current release to return to")
        image = ImageHook(**self.connection).available(current.ami_id, "the image of the current release")
        expected = {one.seen for one in found if one.kind is FindingKind.INFRASTRUCTURE}

        def review(planned: Mapping[str, Any]) -> None:
            others = [one for one in terraform_plan.findings(self.service, planned) if one.seen not in expected]
            if others:
                raise AirflowSkipException(
                    f"the plan would change more than may be repaired: {', '.join(one.id for one in others)}"
                )

        version = image.tags.get(tags.VERSION, "")
        applied = self.fleet.apply(context, self.service, ami_id=image.id, version=version, review=review)
        return Version(applied.launch_template_id, applied.launch_template_version), image.id

    def _roll(self, context: Context, wanted: Version, ami_id: str) -> None:
        """Bring every instance to the image, and defer until the fleet is healthy."""
        self.lease.check(context)
        self.return_to(context, AutoScalingHook(**self.connection), ami_id, wanted)


class ReleaseLeaseOperator(EnvironmentConnection, AwsBaseOperator[LeaseHook]):
    """Release the lease of a repair, however it ended; return whether the run had it.

    Args:
        service: name of the service (templated).
    """

    aws_hook_class = LeaseHook
    template_fields: Sequence[str] = aws_template_fields("service")

    def __init__(self, *, service: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service

    def execute(self, context: Context) -> bool:
        """Return whether the run had the lease."""
        with reachable(self.hook):
            return lease.release(self.hook.s3, self.environment.bucket, self.service, run_tag(context))
