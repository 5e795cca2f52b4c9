"""A service's lease in S3, and the check that every stage makes before it changes what the service runs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from rebake.exceptions import SupersededError
from rebake.hooks.bucket import BucketHook
from rebake.release import lease
from rebake.stages.tooling import run_tag

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rebake.config import Environment


class LeaseHook(BucketHook):
    """Thin wrapper around `boto3.client("s3")`, for `rebake.release.lease`; triggers use its asynchronous client."""

    def check(self, bucket: str, service: str, run: str) -> None:
        """Make sure that the run still holds the service's lease.

        Raises:
            SupersededError: another run has, or had, it.
        """
        lease.check(self.s3, bucket, service, run)


class LeaseStage:
    """Mixin of a stage that changes what a service runs, beside `EnvironmentConnection`."""

    environment: Environment
    connection: dict[str, Any]
    log: Any

    @cached_property
    def leases(self) -> LeaseHook:
        """The leases' hook, with the environment's connection."""
        return LeaseHook(**self.connection)

    def check_lease(self, service: str, context: Context) -> None:
        """Make sure that the run still holds the lease; call this before each effect.

        Raises:
            AirflowSkipException: it has not: the run is superseded, which is no failure.
        """
        try:
            self.leases.check(self.environment.bucket, service, run_tag(context))
        except SupersededError as error:
            raise AirflowSkipException(str(error)) from error
