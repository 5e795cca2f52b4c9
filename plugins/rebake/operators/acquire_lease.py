"""The stage `acquire_lease`: from here on this run, and no other, changes what the service runs."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake.hooks.lease import LeaseHook
from rebake.release.lease import RunKind
from rebake.stages.acquisition import LeaseAcquisition
from rebake.stages.connection import EnvironmentConnection


class AcquireLeaseOperator(EnvironmentConnection, AwsBaseOperator[LeaseHook]):
    """Acquire the service's lease, waiting deferred for a run that has it; return the lease's token.

    Then begin the release record. See `rebake.release.lease` for who waits for whom.

    Args:
        service: name of the service (templated).
        kind: `deploy`, which waits, or `rollback`, which acquires the lease from a deployment (templated).
        replaces: the release that must still be the current one; empty if any may be (templated).
    """

    aws_hook_class = LeaseHook
    template_fields: Sequence[str] = aws_template_fields("service", "kind", "replaces")

    def __init__(self, *, service: str, kind: str = RunKind.DEPLOY, replaces: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.kind = kind
        self.replaces = replaces

    def execute(self, context: Context) -> int:
        """Return the lease's token; or defer, see `LeaseAcquisition.acquire`."""
        return LeaseAcquisition(self, self.service, self.kind, self.replaces).acquire(context).token

    def lease_ended(self, context: Context, event: dict[str, Any]) -> int:
        """Try again, now that the lease of the other run has ended."""
        return self.execute(context)
