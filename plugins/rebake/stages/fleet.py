"""Applying a service's fleet with Terraform, as several stages do."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Context

from rebake import bucket, config
from rebake.config import Environment, Network, Service
from rebake.exceptions import ToolFailedError, ToolKilledError
from rebake.hooks.network import NetworkHook
from rebake.hooks.orphans import LocksHook
from rebake.release.results import ApplyResult
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.guards import LeaseGuard
from rebake.stages.tooling import Access, RunningTool, reachable, workspace_key
from rebake.tools import terraform
from rebake.tools.workspace import workspace


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


class FleetTerraform(RunningTool):
    """Terraform for the fleets of the environment that a stage works in.

    Args:
        stage: the operator; its environment is read when it is needed.
    """

    def __init__(self, stage: EnvironmentConnection) -> None:
        super().__init__()
        self._stage = stage

    def apply(
        self,
        context: Context,
        service_name: str,
        *,
        ami_id: str,
        version: str,
        review: terraform.Review | None = None,
    ) -> ApplyResult:
        """Plan and apply a service's fleet with an image; return the module's outputs.

        Args:
            context: the task's.
            service_name: the service.
            ami_id: the image.
            version: the application's version in it.
            review: sees the plan before it is applied, and raises to prevent it.

        Raises:
            ConfigError: a file is wrong, or the state's bucket does not exist.
            ToolMissingError: Terraform is not on this worker.
            ToolFailedError: Terraform failed; the message has its own errors.
            ToolKilledError: Terraform was killed; its lock is removed where it could not do so itself.
            AirflowSkipException: another run has acquired the service's lease.
        """
        environment = self._stage.environment
        service = config.load_service(service_name, environment)
        lease = LeaseGuard(service_name, environment)
        with reachable(lease.hook):
            bucket.require(lease.hook.s3, environment.bucket)
            lease.check(context)
        with self.open(context) as tool:
            files = tool.files(service, ami_id=ami_id, version=version)
            began = datetime.now(UTC)
            try:
                outputs = tool.runner.apply(*files, review)
            except ToolKilledError as error:
                if not error.cleans_up:
                    self._remove_lock(files[0]["key"], began)
                raise
        missing = [name for name in ApplyResult.model_fields if not outputs.get(name)]
        if missing:
            raise ToolFailedError(f"infrastructure/fleet has no output {', '.join(missing)}; it has {sorted(outputs)}")
        result = ApplyResult(**{name: str(outputs[name]) for name in ApplyResult.model_fields})
        self._stage.log.info(
            "%s launches %s with launch template version %s", result.url, ami_id, result.launch_template_version
        )
        return result

    @contextlib.contextmanager
    def open(self, context: Context) -> Iterator[FleetTool]:
        """Provide Terraform in the task's own workspace, where `stop` reaches it.

        Raises:
            ConfigError: the connection has no credentials, or the network is not found.
            ToolMissingError: Terraform is not on this worker.
        """
        environment = self._stage.environment
        hook = NetworkHook(**environment.connection)
        with reachable(hook):
            network = hook.resolve(environment.network)
            access = Access.of(hook)
        with workspace(workspace_key(context)) as folder:
            runner = terraform.Terraform(
                folder,
                environment=access.environment,
                log=self._stage.log,
                endpoint=access.endpoint,
                secrets=access.secrets,
            )
            with self.running(runner):
                yield FleetTool(runner, environment, network, access.endpoint)

    def _remove_lock(self, state: str, began: datetime) -> None:
        """Remove the lock that a killed Terraform has left, which would fail the next try."""
        environment, log = self._stage.environment, self._stage.log
        try:
            if LocksHook(**environment.connection).remove_own(environment.bucket, state, began):
                log.warning("removed the lock that the killed Terraform left on %s", state)
        except Exception:  # the kill is the error to show; the lock's removal by hand is in the next try's message
            log.exception("the lock that the killed Terraform may have left on %s could not be removed", state)
