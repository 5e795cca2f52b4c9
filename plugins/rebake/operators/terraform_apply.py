"""The stage `terraform_apply`: the fleet as its configuration says, with the image in a new template version."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from botocore.exceptions import ClientError

from rebake import config
from rebake.aws_errors import error_code
from rebake.exceptions import ConfigError, ToolFailedError, ToolKilledError
from rebake.hooks.lease import LeaseStage
from rebake.hooks.network import NetworkHook
from rebake.hooks.orphans import LocksHook
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import Access, ToolStage, reachable, workspace_key
from rebake.tools import terraform
from rebake.tools.workspace import workspace

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rebake.config import Environment, Network, Service

RETURNED: Final = "launch_template_version"
PUSHED: Final = (
    "launch_template_id",
    "auto_scaling_group_name",
    "target_group_arn",
    "url",
    "load_balancer_dns_name",
)


@dataclass(frozen=True)
class FleetTool:
    """Terraform, and what every fleet of the environment is declared with."""

    runner: terraform.Terraform
    environment: Environment
    network: Network
    endpoint: str

    def files(self, service: Service, *, ami_id: str, version: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the backend's settings and the module's variables for a service with an image."""
        return (
            terraform.backend_settings(service.name, self.environment, self.endpoint),
            terraform.fleet_variables(service, self.environment, self.network, ami_id=ami_id, version=str(version)),
        )


class FleetStage(LeaseStage, ToolStage, EnvironmentConnection):
    """Mixin of an operator that applies a service's fleet."""

    log: Any

    def apply_fleet(
        self,
        context: Context,
        service_name: str,
        *,
        ami_id: str,
        version: str,
        review: terraform.Review | None = None,
    ) -> dict[str, Any]:
        """Plan and apply the fleet with an image; return the module's outputs, by name.

        Args:
            context: the task's.
            service_name: the service.
            ami_id: the image.
            version: the application's version in it.
            review: sees the plan before it is applied, and raises to prevent it.

        Raises:
            ConfigError: a file is wrong, or the state's bucket is not there.
            ToolMissingError: Terraform is not on this worker.
            ToolFailedError: Terraform failed; the message has its own errors.
            ToolKilledError: Terraform was killed; its lock is removed.
            CloudUnreachableError: the AWS API does not answer.
            AirflowSkipException: another run has acquired the service's lease.
        """
        service = config.load_service(service_name, self.environment)
        with reachable(self.leases):
            self._check_bucket()
            self.check_lease(service_name, context)
        with self.fleet_tool(context) as tool:
            files = tool.files(service, ami_id=ami_id, version=version)
            began = datetime.now(UTC)
            try:
                outputs = tool.runner.apply(*files, review)
            except ToolKilledError as error:
                if not error.cleans_up:
                    self._remove_lock(files[0]["key"], began)
                raise
        missing = [name for name in (RETURNED, *PUSHED) if not outputs.get(name)]
        if missing:
            raise ToolFailedError(f"infrastructure/fleet has no output {', '.join(missing)}; it has {sorted(outputs)}")
        self.log.info("%s launches %s with template version %s", outputs["url"], ami_id, outputs[RETURNED])
        return outputs

    @contextlib.contextmanager
    def fleet_tool(self, context: Context) -> Iterator[FleetTool]:
        """Give out Terraform in a workspace of this task's own; a kill of the task goes to it.

        Raises:
            ConfigError: the connection has no credentials, or the network cannot be told.
            ToolMissingError: Terraform is not on this worker.
            CloudUnreachableError: the AWS API does not answer.
        """
        hook = NetworkHook(**self.connection)
        with reachable(hook):
            network = hook.resolve(self.environment.network)
            access = Access(hook)
        with workspace(workspace_key(context)) as place:
            runner = self._runner = terraform.Terraform(
                place,
                environment=access.environment,
                log=self.log,
                endpoint=access.endpoint,
                secrets=access.secrets,
            )
            try:
                yield FleetTool(runner, self.environment, network, access.endpoint)
            finally:
                self._runner = None

    def _remove_lock(self, state: str, began: datetime) -> None:
        """Remove the lock that a killed Terraform has left, or the next try would wait for it in vain."""
        try:
            if LocksHook(**self.connection).remove_own(self.environment.bucket, state, began):
                self.log.warning("removed the lock that the killed Terraform left on %s", state)
        except Exception:  # the kill is the error to show; the lock's removal by hand is in the next try's message
            self.log.exception("the lock that the killed Terraform may have left on %s could not be removed", state)

    def _check_bucket(self) -> None:
        bucket = self.environment.bucket
        setting = f"bucket in config/environments/{self.environment.name}.yaml"
        try:
            s3: Any = S3Hook(**self.connection).conn
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            code = error_code(error)
            if code in {"404", "NoSuchBucket", "NotFound"}:
                raise ConfigError(
                    f"bucket {bucket} does not exist: it holds Terraform's state and the release records; apply "
                    f"infrastructure/pipeline, which makes it, or correct {setting}"
                ) from error
            if code in {"403", "AccessDenied", "Forbidden"}:
                raise ConfigError(
                    f"bucket {bucket} is closed to the connection {self.environment.aws_conn_id!r}: it belongs to "
                    f"another account, or the pipeline's policy is not attached; see {setting}"
                ) from error
            raise


class TerraformApplyOperator(FleetStage, AwsBaseOperator[NetworkHook]):
    """Plan and apply the service's fleet with an image; return the number of the launch template's version.

    Running instances are not touched: the group's version is moved by the instance refresh. Only the first apply,
    which makes the group, waits until its instances are healthy. Applying again changes nothing, so a retry is
    safe; the state is locked meanwhile.

    Further XCom keys: `launch_template_id`, `auto_scaling_group_name`, `target_group_arn`, `url`,
    `load_balancer_dns_name`.

    Args:
        service: name of the service (templated).
        ami_id: the image (templated).
        version: the application's version in it, for the tags (templated).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = NetworkHook
    template_fields: Sequence[str] = aws_template_fields("service", "ami_id", "version")

    def __init__(self, *, service: str, ami_id: str, version: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.ami_id = ami_id
        self.version = version

    def execute(self, context: Context) -> str:
        """Return the number of the launch template's version that launches the image.

        Raises:
            ConfigError: a file is wrong, or the state's bucket is not there.
            ToolMissingError: Terraform is not on this worker.
            ToolFailedError: Terraform failed; the message has its own errors.
            CloudUnreachableError: the AWS API does not answer.
            AirflowSkipException: another run has acquired the service's lease.
        """
        outputs = self.apply_fleet(context, self.service, ami_id=self.ami_id, version=self.version)
        for name in PUSHED:
            context["ti"].xcom_push(key=name, value=outputs[name])
        return str(outputs[RETURNED])
