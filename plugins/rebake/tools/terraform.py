"""Provision a fleet with Terraform or OpenTofu: from a private copy of the module, by a plan that is then applied."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rebake import paths
from rebake.config import Environment, Network, Service
from rebake.exceptions import ConfigError, ToolFailedError
from rebake.tools.process import Log
from rebake.tools.runner import TERRAFORM, Runner
from rebake.tools.workspace import Workspace

CAPACITY_TIMEOUT: Final = 600
"""Seconds that the first apply waits for the first instances to be healthy."""

GRACE: Final = CAPACITY_TIMEOUT + 300.0
"""Seconds that Terraform has to finish what is in flight, save the state and release its lock.

What is in flight may be the wait for the first instances, and before it is over Terraform does not save that the
group exists: killed then, the next apply would fail because it does.
"""

LOCK_TIMEOUT: Final = "300s"
"""How long to wait for another run of Terraform on the same state."""

GRACE_BEYOND_WARMUP: Final = 60
"""Seconds that a booting instance may fail its health checks beyond the service's own warm-up."""

BACKEND_FILE: Final = "backend.tfbackend.json"
VARIABLES_FILE: Final = "terraform.tfvars.json"
OVERRIDE_FILE: Final = "endpoint_override.tf.json"
PLAN_FILE: Final = "fleet.tfplan"
STATES: Final = "terraform/"
"""What the object keys of the states, and of the locks on them, begin with."""

_PROVIDER_ENDPOINTS: Final = ("autoscaling", "ec2", "elb", "iam", "sts")
_BACKEND_ENDPOINTS: Final = ("iam", "s3", "sts")
_SKIPPED_CHECKS: Final = {
    "skip_credentials_validation": True,
    "skip_metadata_api_check": True,
    "skip_region_validation": True,
    "skip_requesting_account_id": True,
}
Review = Callable[[Mapping[str, Any]], None]
"""Reviews a plan as `terraform show -json` prints it, and raises where it must not be applied."""

_CHANGES: Final = 2
"""Exit status of `plan -detailed-exitcode` when there is something to change."""


def fleet_variables(
    service: Service, environment: Environment, network: Network, *, ami_id: str, version: str
) -> dict[str, Any]:
    """Return the variables of `infrastructure/fleet` for a service in an environment."""
    fleet = service.fleet
    return {
        "region": environment.region,
        "service": service.name,
        "environment": environment.name,
        "ami_id": ami_id,
        "version_label": version,
        "vpc_id": network.vpc_id,
        "subnet_ids": list(network.subnet_ids),
        "instance_type": fleet.instance_type,
        "min_size": fleet.min_size,
        "max_size": fleet.max_size,
        "desired_capacity": fleet.desired_capacity,
        "port": fleet.port,
        "listener_port": fleet.listener_port,
        "health_check": fleet.health_check.model_dump(),
        "health_check_grace_period": service.rollout.instance_warmup + GRACE_BEYOND_WARMUP,
        "capacity_timeout": CAPACITY_TIMEOUT,
        "deregistration_delay": fleet.deregistration_delay,
        "allowed_cidrs": list(environment.allowed_cidrs),
        "pipeline_cidrs": list(environment.pipeline_cidrs),
    }


def state_key(service: str, environment: str) -> str:
    """Return the object key of the Terraform state of a service's fleet in an environment."""
    return f"{STATES}{service}-{environment}.tfstate"


def lock_key(state: str) -> str:
    """Return the object key of the lock that Terraform takes on a state."""
    return f"{state}.tflock"


def is_lock(key: str, environment: str) -> bool:
    """Return whether an object is the lock on the state of a fleet in an environment."""
    return key.startswith(STATES) and key.endswith(lock_key(f"-{environment}.tfstate"))


def backend_settings(service: str, environment: Environment, endpoint: str) -> dict[str, Any]:
    """Return the settings of the S3 backend: one state a service and environment.

    Args:
        service: the service's name.
        environment: names bucket and region.
        endpoint: address of the embedded cloud, empty for AWS.
    """
    settings: dict[str, Any] = {
        "bucket": environment.bucket,
        "key": state_key(service, environment.name),
        "region": environment.region,
        # The backend's own 5 are soon used up where requests are throttled, and a lock that is not released stays.
        "max_retries": 10,
    }
    if endpoint:
        settings |= _SKIPPED_CHECKS | {
            "endpoints": dict.fromkeys(_BACKEND_ENDPOINTS, endpoint),
            "use_path_style": True,
        }
    return settings


def endpoint_override(endpoint: str) -> dict[str, Any]:
    """Return the override file that sends the AWS provider to the embedded cloud.

    `elb` covers both load balancer APIs in provider 3.39; from 5.x on the provider also reads AWS_ENDPOINT_URL.
    """
    return {"provider": {"aws": _SKIPPED_CHECKS | {"endpoints": [dict.fromkeys(_PROVIDER_ENDPOINTS, endpoint)]}}}


class Terraform(Runner):
    """Plans and applies the fleet module, which it copies. The other arguments are those of `Runner`.

    Args:
        endpoint: address of the embedded cloud, empty for AWS.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        environment: Mapping[str, str],
        log: Log,
        endpoint: str = "",
        secrets: tuple[str, ...] = (),
    ) -> None:
        automation = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
        if endpoint:
            automation["AWS_ENDPOINT_URL"] = endpoint
        super().__init__(
            TERRAFORM, workspace, environment={**environment, **automation}, log=log, grace=GRACE, secrets=secrets
        )
        self._endpoint = endpoint

    def apply(
        self, backend: Mapping[str, Any], variables: Mapping[str, Any], review: Review | None = None
    ) -> dict[str, Any]:
        """Plan and apply the fleet; return the module's outputs.

        Args:
            backend: settings of the S3 backend.
            variables: the module's variables.
            review: sees the plan before it is applied, and raises to prevent it.

        Raises:
            ToolFailedError: Terraform failed; the message has its own errors.
        """
        self._enter(backend, variables)
        if self._plan(f"-lock-timeout={LOCK_TIMEOUT}"):
            if review is not None:
                review(self._shown())
            self.run("apply", "-input=false", "-no-color", f"-lock-timeout={LOCK_TIMEOUT}", PLAN_FILE)
        return self._outputs()

    def plan(self, backend: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """Plan the fleet and change nothing; return the plan as `show -json` prints it, empty if nothing would change.

        The state is not locked: reading it is one request, and a scan that held the lock would make a deployment wait.
        One workspace may be used for one fleet after another: the provider is installed once.

        Args:
            backend: settings of the S3 backend.
            variables: the module's variables.

        Raises:
            ToolFailedError: Terraform failed; the message has its own errors.
        """
        self._enter(backend, variables)
        return self._shown() if self._plan("-lock=false") else {}

    def _shown(self) -> dict[str, Any]:
        shown = self.run("show", "-json", "-no-color", PLAN_FILE, quiet=True)
        try:
            plan: dict[str, Any] = json.loads(shown.output)
        except ValueError as error:
            raise ToolFailedError(f"`show -json` is not readable: {error}") from error
        return plan

    def _enter(self, backend: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        _copy_module(self.folder)
        self._write(BACKEND_FILE, backend)
        self._write(VARIABLES_FILE, variables)
        if self._endpoint:
            self._write(OVERRIDE_FILE, endpoint_override(self._endpoint))
        self.run("init", "-input=false", "-no-color", "-reconfigure", f"-backend-config={BACKEND_FILE}")

    def _plan(self, *options: str) -> bool:
        """Write the plan's file; return whether there is something to change."""
        result = self.run(
            "plan",
            "-input=false",
            "-no-color",
            "-detailed-exitcode",
            *options,
            f"-out={PLAN_FILE}",
            accept=(0, _CHANGES),
        )
        return result.status == _CHANGES

    def explain(self, output: str) -> str:
        """Return Terraform's own errors from its output, or the end of the output where it has none."""
        errors = errors_in(output)
        text = "\n".join(errors) if errors else super().explain(output)
        if "Error acquiring the state lock" in text:
            text += (
                "\nAnother run holds the lock of this fleet's state, or one was killed while it did. If none runs: "
                "delete the .tflock object of the path above from the bucket, and clear this task"
            )
        return text

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")

    def _outputs(self) -> dict[str, Any]:
        result = self.run("output", "-json", "-no-color", quiet=True)
        try:
            return {name: output["value"] for name, output in json.loads(result.output).items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ToolFailedError(f"`output -json` is not readable: {error!r}\n{result.output[-2000:]}") from error


def _copy_module(folder: Path) -> None:
    module = paths.home() / "infrastructure" / "fleet"
    if not module.is_dir():
        raise ConfigError(f"{module} does not exist: it holds the fleet's Terraform module; check REBAKE_HOME")
    # A developer's own state, plugins and tests stay where they are.
    ignored = shutil.ignore_patterns("tests", ".terraform", "*.tfstate*", "*.tfplan", "*.tfvars*", "*_override.tf*")
    shutil.copytree(module, folder, ignore=ignored, dirs_exist_ok=True)


def errors_in(output: str) -> list[str]:
    """Return the errors that Terraform draws in boxes in its output, each once, without the boxes."""
    errors: list[str] = []
    box: list[str] | None = None
    for line in output.splitlines():
        bare = line.strip()
        if bare == "╷":
            box = []
        elif bare == "╵":
            text = "\n".join(box or []).strip()
            if text.startswith("Error:") and text not in errors:
                errors.append(text)
            box = None
        elif box is not None:
            box.append(line.removeprefix("│").removeprefix(" ").rstrip())
    return errors
