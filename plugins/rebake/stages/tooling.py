"""What the operators that run Packer or Terraform share: credentials, the workspace, the stop."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.sdk import Context
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

from rebake import tags
from rebake.exceptions import CloudUnreachableError, ConfigError
from rebake.tools.runner import Runner


class RunningTool:
    """The tool that a task is running, so that a kill of the task stops the tool too: see `stop`."""

    def __init__(self) -> None:
        self._runner: Runner | None = None

    @contextlib.contextmanager
    def running(self, runner: Runner) -> Iterator[None]:
        """Let `stop` reach `runner` meanwhile."""
        self._runner = runner
        try:
            yield
        finally:
            self._runner = None

    def stop(self) -> None:
        """Ask the tool to clean up and end; call this in `on_kill`.

        Airflow calls that in a signal handler, five seconds before SIGKILL. The tool's guardian gives the tool as
        much time as it needs.
        """
        if self._runner is not None:
            self._runner.stop()


@dataclass(frozen=True)
class Access:
    """How a tool reaches the AWS API: by the Airflow connection, like the operator's own calls."""

    endpoint: str
    environment: dict[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, hook: AwsGenericHook[Any]) -> Self:
        """Return the access that a hook's connection gives.

        Raises:
            ConfigError: the connection has no credentials.
        """
        if hook.get_session().get_credentials() is None:
            raise ConfigError(
                f"connection {hook.aws_conn_id!r} has no AWS credentials: give it a login and password, a role, "
                "or run the worker on an instance with a profile"
            )
        credentials = hook.get_credentials()
        region = hook.conn_region_name
        environment = {
            "AWS_ACCESS_KEY_ID": credentials.access_key or "",
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key or "",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",  # these credentials and no others
        }
        if credentials.token:
            environment["AWS_SESSION_TOKEN"] = credentials.token
        endpoint = hook.conn_config.get_service_endpoint_url("ec2") or ""
        return cls(endpoint, environment, tuple(filter(None, (credentials.secret_key, credentials.token))))


def run_tag(context: Context) -> str:
    """Return the value of `rebake:dag-run` for the run that `context` belongs to.

    Each part of a mapped task has its own, so that it does not clean up what the others are using.
    """
    ti = context["ti"]
    part = getattr(ti, "map_index", -1)
    return tags.dag_run_tag(ti.dag_id, f"{ti.run_id}/{part}" if part >= 0 else ti.run_id)


def workspace_key(context: Context) -> str:
    """Return the key of the workspace that all tries of this task share; each part of a mapped task has its own."""
    ti = context["ti"]
    part = getattr(ti, "map_index", -1)
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}{f'/{part}' if part >= 0 else ''}"


@contextlib.contextmanager
def reachable(hook: AwsGenericHook[Any]) -> Iterator[None]:
    """Turn botocore's connection errors into one with the remedy.

    Raises:
        CloudUnreachableError: nothing answers at the API's address.
    """
    try:
        yield
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        endpoint = hook.conn_config.get_service_endpoint_url("ec2")
        where = f"the embedded cloud at {endpoint}" if endpoint else f"AWS in {hook.conn_region_name}"
        way_out = "start it: make up" if endpoint else f"check the network and the connection {hook.aws_conn_id!r}"
        raise CloudUnreachableError(f"{where} does not answer ({error}); {way_out}") from error
