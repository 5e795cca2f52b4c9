"""The checks that a stage makes immediately before each effect: the lease is still ours, the image is not revoked."""

from functools import cached_property

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from rebake.config import Environment
from rebake.estate import revocation
from rebake.exceptions import RevokedError, SupersededError
from rebake.hooks.lease import LeaseHook
from rebake.hooks.releases import ReleasesHook
from rebake.hooks.revocation import RevocationHook
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import run_tag


class LeaseGuard:
    """Refuses to go on when another run has acquired the service's lease.

    Args:
        service: name of the service.
        environment: where it runs.
    """

    def __init__(self, service: str, environment: Environment) -> None:
        self.service = service
        self.environment = environment

    @cached_property
    def hook(self) -> LeaseHook:
        """The leases' hook, with the environment's connection."""
        return LeaseHook(**self.environment.connection)

    def check(self, context: Context) -> None:
        """Make sure that the run still holds the lease; call this before each effect.

        Raises:
            AirflowSkipException: it does not: the run is superseded, which is no failure.
        """
        try:
            self.hook.check(self.environment.bucket, self.service, run_tag(context))
        except SupersededError as error:
            raise AirflowSkipException(str(error)) from error


class RevocationGuard:
    """Refuses images that were revoked.

    Args:
        stage: the operator; its environment is read when it is needed.
    """

    def __init__(self, stage: EnvironmentConnection) -> None:
        self._stage = stage

    @cached_property
    def hook(self) -> RevocationHook:
        """The revocations' hook, with the environment's connection."""
        return RevocationHook(**self._stage.connection)

    def refuse(self, ami_id: str, what: str, *, service: str = "", way_out: str = "") -> None:
        """Make sure that an image may be released; call this before each effect.

        Args:
            ami_id: the image.
            what: what it is needed as; begins the error message.
            service: whose nearest safe release the message names; empty for a base family, which has none.
            way_out: what else can be done about it.

        Raises:
            RevokedError: the image, or one that it was baked on, was revoked.
        """
        mark = self.hook.mark_of(ami_id)
        if mark is None:
            return
        message = [f"{what}: image {ami_id} {mark.message_for(ami_id)}", way_out]
        if service:
            records = ReleasesHook(**self._stage.connection).records(self._stage.environment.bucket, service)
            message.append(revocation.advice(service, self.hook.safe_release(records)))
        raise RevokedError(". ".join(filter(None, message)))
