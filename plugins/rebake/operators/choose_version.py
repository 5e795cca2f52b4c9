"""The task `choose_version`: what a service runs, and whether it has to be baked anew on the newest base."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config
from rebake.estate import dependents
from rebake.hooks.registry import RegistryHook
from rebake.hooks.releases import ReleasesHook
from rebake.image.channels import CURRENT, base_name
from rebake.release import lease
from rebake.release import record as release
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import reachable
from rebake.triggers.lease import until_over

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

WORD: Final = "word"
"""XCom key of why a task was skipped."""


class ChooseVersionOperator(EnvironmentConnection, AwsBaseOperator[ReleasesHook]):
    """Return the version of the service's current release, once no run changes the service.

    What is going on is waited for, deferred: what it ends with is what has to follow the base. Further XCom keys:
    `commit`, `build_id`, `release_id` of the release, and `base_ami`, the newest base.

    Args:
        service: name of the service (templated).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = ReleasesHook
    template_fields: Sequence[str] = aws_template_fields("service")

    def __init__(self, *, service: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service

    def execute(self, context: Context) -> str:
        """Return the version.

        Raises:
            ConfigError: the service's file is wrong, or the environment's bucket does not exist.
            CloudUnreachableError: the AWS API does not answer.
            AirflowSkipException: the service was never released, or is on the newest base already.
        """
        service = config.load_service(self.service, self.environment)
        with reachable(self.hook):
            other = lease.read(self.hook.s3, self.environment.bucket, self.service)
            if other and other.is_open(datetime.now(UTC)):
                self.log.info("%s is changing %s: waiting for its end", other.holder, self.service)
                self.defer(**until_over(other, self.service, self.environment))
            now, newest = look(self.hook, service, self.environment, self.connection)
        stay = dependents.reason_to_stay(service, now, newest)
        if now is None or stay:
            context["ti"].xcom_push(key=WORD, value=stay)
            raise AirflowSkipException(stay)
        for key in ("commit", "build_id", "release_id"):
            context["ti"].xcom_push(key=key, value=now[key])
        context["ti"].xcom_push(key="base_ami", value=newest)
        self.log.info("%s %s moves from %s to %s", self.service, now["version"], now["base_ami"], newest)
        return str(now["version"])

    def lease_ended(self, context: Context, event: dict[str, Any]) -> str:
        """Look again, now that the lease of the other run has ended."""
        return self.execute(context)


def look(
    releases: ReleasesHook, service: config.Service, environment: config.Environment, connection: dict[str, Any]
) -> tuple[Mapping[str, Any] | None, str]:
    """Return the record of the service's current release, and the newest base of its family; none and "" if missing."""
    pointer = RegistryHook(**connection).read(base_name(service.base), CURRENT)
    return release.current(releases.records(environment.bucket, service.name)), pointer.ami_id if pointer else ""
