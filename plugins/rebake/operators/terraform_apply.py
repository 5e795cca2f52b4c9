"""The stage `terraform_apply`: the fleet as it is declared, with the image in a new launch template version."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake.hooks.network import NetworkHook
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.fleet import FleetTerraform


class TerraformApplyOperator(EnvironmentConnection, AwsBaseOperator[NetworkHook]):
    """Plan and apply the service's fleet with an image; return an `ApplyResult`.

    Running instances are not touched: the group's version is moved by the instance refresh. Only the first apply,
    which makes the group, waits until its instances are healthy. Applying again changes nothing, so a retry is
    safe; the state is locked meanwhile.

    Args:
        service: name of the service (templated).
        ami_id: the image (templated).
        version: the application's version in it, for the tags (templated).
    """

    aws_hook_class = NetworkHook
    template_fields: Sequence[str] = aws_template_fields("service", "ami_id", "version")

    def __init__(self, *, service: str, ami_id: str, version: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.ami_id = ami_id
        self.version = version

    fleet = cached_property(FleetTerraform)

    def on_kill(self) -> None:
        """Stop Terraform."""
        self.fleet.stop()

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the outputs of `infrastructure/fleet`, an `ApplyResult`, see `FleetTerraform.apply`."""
        result = self.fleet.apply(context, self.service, ami_id=self.ami_id, version=self.version)
        return result.model_dump(mode="json")
