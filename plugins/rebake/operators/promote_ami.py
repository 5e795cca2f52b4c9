"""The stage `promote_ami`: point a channel of the registry at an image that passed its checks."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake.hooks.registry import RegistryHook
from rebake.image.channels import CANDIDATE
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.guards import LeaseGuard, RevocationGuard
from rebake.stages.tooling import reachable


class PromoteAmiOperator(EnvironmentConnection, AwsBaseOperator[RegistryHook]):
    """Point a channel at an image; return the parameter's version.

    Args:
        ami_id: the image (templated).
        name: whose channels, such as `/rebake/webapp` (templated).
        channel: `candidate`, `current` or `previous`; `candidate` by default (templated).
        service: whose lease the run must hold; empty for a base family, which has none (templated).
    """

    aws_hook_class = RegistryHook
    template_fields: Sequence[str] = aws_template_fields("ami_id", "name", "channel", "service")

    def __init__(self, *, ami_id: str, name: str, channel: str = CANDIDATE, service: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ami_id = ami_id
        self.name = name
        self.channel = channel
        self.service = service

    lease = cached_property(lambda self: LeaseGuard(self.service, self.environment))
    revocations = cached_property(RevocationGuard)

    def execute(self, context: Context) -> int:
        """Return the parameter's version.

        Raises:
            ImageError: Parameter Store does not accept the image.
            RevokedError: the image was revoked, perhaps since it was baked.
            AirflowSkipException: another run has acquired the service's lease.
        """
        with reachable(self.hook):
            if self.service:
                self.lease.check(context)
            self.revocations.refuse(self.ami_id, f"{self.name}/{self.channel}", service=self.service)
            before = self.hook.read(self.name, self.channel)
        version = self.hook.point(self.name, self.channel, self.ami_id, poll_seconds=self.environment.poll_seconds)
        self.log.info(
            "%s/%s: %s -> %s (version %d)",
            self.name,
            self.channel,
            before.ami_id if before else "(unset)",
            self.ami_id,
            version,
        )
        return version
