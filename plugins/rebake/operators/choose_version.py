"""The task `choose_version`: what a service runs, and whether it has to be baked anew on the newest base."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config
from rebake.estate import dependents
from rebake.estate.dependents import ChosenVersion
from rebake.hooks.registry import RegistryHook
from rebake.hooks.releases import ReleasesHook
from rebake.image.channels import CURRENT, base_name
from rebake.release import lease
from rebake.release import record as release
from rebake.release.record import ReleaseRecord
from rebake.release.results import Failure
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.run_facts import push_failure
from rebake.stages.tooling import reachable
from rebake.triggers.lease import until_over


class ChooseVersionOperator(EnvironmentConnection, AwsBaseOperator[ReleasesHook]):
    """Return what has to be baked again, once no run changes the service: its current release, on the newest base.

    A run that changes the service is waited for, deferred: the release that it ends with has to follow the base.

    Args:
        service: name of the service (templated).
    """

    aws_hook_class = ReleasesHook
    template_fields: Sequence[str] = aws_template_fields("service")

    def __init__(self, *, service: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what is baked again, a `ChosenVersion`.

        Raises:
            ConfigError: the service's file is wrong, or the environment's bucket does not exist.
            AirflowSkipException: the service was never released, or is on the newest base already.
        """
        service = config.load_service(self.service, self.environment)
        with reachable(self.hook):
            other = lease.read(self.hook.s3, self.environment.bucket, self.service)
            if other and other.is_open(datetime.now(UTC)):
                self.log.info("%s is changing %s: waiting for its end", other.holder, self.service)
                self.defer(**until_over(other, self.service, self.environment))
            now, newest = current_and_newest(self.hook, service, self.environment, self.connection)
        stay = dependents.reason_to_stay(service, now, newest)
        if now is None or stay:
            push_failure(context, Failure(reason="not_needed", message=stay))
            raise AirflowSkipException(stay)
        self.log.info("%s %s moves from %s to %s", self.service, now.version, now.base_ami, newest)
        chosen = now.model_dump(include={"version", "commit", "build_id", "release_id"})
        return ChosenVersion(**chosen, base_ami=newest).model_dump(mode="json")

    def lease_ended(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Try again, now that the lease of the other run has ended."""
        return self.execute(context)


def current_and_newest(
    releases: ReleasesHook, service: config.Service, environment: config.Environment, connection: dict[str, Any]
) -> tuple[ReleaseRecord | None, str]:
    """Return the record of the service's current release, and the newest base of its family; none and "" if missing."""
    pointer = RegistryHook(**connection).read(base_name(service.base), CURRENT)
    return release.current(releases.records(environment.bucket, service.name)), pointer.ami_id if pointer else ""
