"""The stage `terraform_apply`: the fleet as its configuration says, with the image in a new template version."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from rebake.hooks.network import NetworkHook
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.fleet import PUSHED, RETURNED, FleetTerraform

if TYPE_CHECKING:
    from airflow.sdk import Context


class TerraformApplyOperator(EnvironmentConnection, AwsBaseOperator[NetworkHook]):
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

    @cached_property
    def fleet(self) -> FleetTerraform:
        """Terraform for the environment's fleets."""
        return FleetTerraform(self)

    def on_kill(self) -> None:
        """Stop Terraform."""
        self.fleet.stop()

    def execute(self, context: Context) -> str:
        """Return the number of the launch template's version that launches the image.

        Raises:
            ConfigError: a file is wrong, or the state's bucket does not exist.
            ToolMissingError: Terraform is not on this worker.
            ToolFailedError: Terraform failed; the message has its own errors.
            CloudUnreachableError: the AWS API does not answer.
            AirflowSkipException: another run has acquired the service's lease.
        """
        outputs = self.fleet.apply(context, self.service, ami_id=self.ami_id, version=self.version)
        for name in PUSHED:
            context["ti"].xcom_push(key=name, value=outputs[name])
        return str(outputs[RETURNED])
