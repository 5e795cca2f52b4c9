"""Services, base families and environments are data: one YAML file each, validated here.

The file names say what they configure: `config/services/<service>.yaml`, `config/bases/<family>.yaml`
and `config/environments/<environment>.yaml`. `${NAME}` in an environment file is replaced from the
process environment.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from rebake import paths
from rebake.assertions import Assertions
from rebake.exceptions import ConfigError
from rebake.policy import Policy
from rebake.strict import Name, Strict


class HealthCheck(Strict):
    """The target group's health check (elbv2 API, CreateTargetGroup)."""

    path: str = Field("/healthz", pattern=r"^/")
    interval: int = Field(15, ge=5, le=300, description="Seconds between two checks of a target.")
    timeout: int = Field(5, ge=2, le=120, description="Seconds without an answer that count as a failure.")
    healthy_threshold: int = Field(2, ge=2, le=10)
    unhealthy_threshold: int = Field(3, ge=2, le=10)

    @model_validator(mode="after")
    def _timeout_below_interval(self) -> Self:
        if self.timeout >= self.interval:
            raise ValueError(f"timeout ({self.timeout} s) must be less than interval ({self.interval} s)")
        return self


class Fleet(Strict):
    """What Terraform provisions for a service."""

    instance_type: str = "t3.micro"
    min_size: int = Field(ge=0)
    max_size: int = Field(ge=1)
    desired_capacity: int = Field(ge=0, description="Only the first apply uses it; scaling owns it afterwards.")
    port: int = Field(8080, ge=1, le=65535, description="Where the application listens on an instance.")
    listener_port: int = Field(80, ge=1, le=65535, description="Where the load balancer listens.")
    health_check: HealthCheck = HealthCheck()
    deregistration_delay: int = Field(30, ge=0, le=3600, description="Seconds; at least the longest request.")

    @model_validator(mode="after")
    def _sizes_are_ordered(self) -> Self:
        if not self.min_size <= self.desired_capacity <= self.max_size:
            raise ValueError(
                f"min_size ({self.min_size}) <= desired_capacity ({self.desired_capacity}) "
                f"<= max_size ({self.max_size}) must hold"
            )
        return self


class HttpCheck(Strict):
    """One request to the temporary instance and what it must answer."""

    path: str = Field(pattern=r"^/")
    status: int = Field(200, ge=100, le=599)
    contains: str | None = Field(None, description="Text the body must hold; `{version}` is replaced.")


class Probe(Strict):
    """The checks that an image must pass on a temporary instance before it is promoted."""

    http: tuple[HttpCheck, ...] = (HttpCheck(path="/healthz"),)
    commands: tuple[str, ...] = Field((), description="Run on the instance by SSM Run Command; each must exit 0.")
    timeout: int = Field(300, ge=10, le=3600, description="Seconds for the instance to pass all of it.")


class Rollout(Strict):
    """Preferences of the instance refresh (Auto Scaling API, RefreshPreferences), and how long it is put up with."""

    min_healthy_percentage: int = Field(100, ge=0, le=100)
    max_healthy_percentage: int = Field(125, ge=100, le=200)
    instance_warmup: int = Field(60, ge=0, le=3600, description="Seconds; at least the time to become healthy.")
    checkpoints: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        (), description="Percentages of the fleet at which the rollout pauses; the last is 100."
    )
    checkpoint_delay: int = Field(300, ge=0, le=172800, description="Seconds of each pause.")
    bake_time: int = Field(0, ge=0, le=172800, description="Seconds that the whole new fleet must last at the end.")
    alarms: tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...] = Field(
        (), max_length=10, description="Names of CloudWatch alarms; one in ALARM fails the rollout."
    )
    skip_matching: bool = Field(True, description="Keep instances that already run the wanted version.")
    auto_rollback: bool = Field(True, description="Return to the image before when the rollout fails.")
    unhealthy_deadline: int = Field(
        300,
        ge=10,
        le=3600,
        description="Seconds that a new instance may take to become healthy; AWS tries for an hour.",
    )
    timeout: int = Field(3600, ge=60, le=172800, description="Seconds until the run gives up on the refresh.")

    @model_validator(mode="after")
    def _span_is_allowed(self) -> Self:
        if self.max_healthy_percentage - self.min_healthy_percentage > 100:
            raise ValueError("max_healthy_percentage - min_healthy_percentage must be at most 100")
        return self

    @model_validator(mode="after")
    def _lists_are_in_order(self) -> Self:
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ValueError(f"checkpoints {list(self.checkpoints)} must ascend, each percentage once")
        if self.checkpoints and self.checkpoints[-1] != 100:
            raise ValueError(
                f"the last of checkpoints {list(self.checkpoints)} must be 100: AWS calls a rollout successful at its "
                f"last checkpoint, and would leave {100 - self.checkpoints[-1]} % of the fleet on the old version"
            )
        if len(set(self.alarms)) != len(self.alarms):
            raise ValueError(f"alarms {list(self.alarms)} must be named once each")
        return self

    def at_once(self, desired: int) -> int:
        """Return how many of `desired` instances AWS replaces at a time; at least one, whatever the percentages."""
        ceiling = desired * self.max_healthy_percentage // 100
        return max(1, ceiling - self.fewest(desired))

    def fewest(self, desired: int) -> int:
        """Return how many of `desired` instances stay in service at least; AWS rounds up."""
        return -(-desired * self.min_healthy_percentage // 100)

    def dip(self, desired: int) -> str:
        """Return what these percentages take from a fleet of `desired` instances, in words; empty if nothing."""
        if self.min_healthy_percentage == 100:
            return ""
        allowed = f"min_healthy_percentage: {self.min_healthy_percentage} allows a rollout to take instances away"
        if self.fewest(desired) < desired:
            return f"{allowed}: {self.fewest(desired)} of {desired} may be all that serve meanwhile"
        return f"{allowed}; rounded up, it takes none from {desired}, but it would from a larger fleet"

    def shortest(self, desired: int, deregistration_delay: int) -> tuple[int, str]:
        """Return the seconds that a rollout takes at least, and how they add up.

        Args:
            desired: instances to replace.
            deregistration_delay: seconds for which a replaced instance drains.
        """
        batches = -(-desired // self.at_once(desired))
        pauses = len([percentage for percentage in self.checkpoints if percentage < 100])
        parts = {
            f"{batches} batches of instance_warmup {self.instance_warmup} s and deregistration_delay "
            f"{deregistration_delay} s": batches * (self.instance_warmup + deregistration_delay),
            f"{pauses} pauses of checkpoint_delay {self.checkpoint_delay} s": pauses * self.checkpoint_delay,
            f"bake_time {self.bake_time} s": self.bake_time,
        }
        return sum(parts.values()), " + ".join(name for name, seconds in parts.items() if seconds)


class Service(Strict):
    """One service: `config/services/<service>.yaml`."""

    name: Name
    description: str
    artifact: str = Field(description="Path in the project or s3:// address; `{version}` is replaced.")
    base: Name
    on_new_base: Literal["deploy", "bake", "ignore"] = Field(
        "bake", description="What a new base of its family starts: a deployment, a bake and its test, or nothing."
    )
    version_pattern: str = r"^[0-9]+\.[0-9]+\.[0-9]+$"
    fleet: Fleet
    probe: Probe = Probe()
    rollout: Rollout = Rollout()

    @model_validator(mode="after")
    def _templates_are_whole(self) -> Self:
        if "{version}" not in self.artifact:
            raise ValueError(f"artifact {self.artifact!r} must contain {{version}}")
        try:
            re.compile(self.version_pattern)
        except re.error as error:
            raise ValueError(f"version_pattern {self.version_pattern!r} is no regular expression: {error}") from error
        return self

    @model_validator(mode="after")
    def _rollout_fits_the_fleet(self) -> Self:
        rollout, check = self.rollout, self.fleet.health_check
        seconds, how = rollout.shortest(self.fleet.desired_capacity, self.fleet.deregistration_delay)
        if rollout.timeout <= seconds:
            raise ValueError(
                f"rollout.timeout ({rollout.timeout} s) must exceed the {seconds} s that a rollout to "
                f"{self.fleet.desired_capacity} instances takes at least: {how}"
            )
        if rollout.unhealthy_deadline < check.interval * check.healthy_threshold:
            raise ValueError(
                f"rollout.unhealthy_deadline ({rollout.unhealthy_deadline} s) must be at least fleet.health_check."
                f"interval x healthy_threshold ({check.interval * check.healthy_threshold} s), the time in which an "
                "instance becomes healthy"
            )
        return self

    def check_version(self, version: str) -> str:
        """Return `version` unchanged.

        Raises:
            ConfigError: the version does not match the service's `version_pattern`.
        """
        if not re.fullmatch(self.version_pattern, version):
            raise ConfigError(f"version {version!r} of {self.name} does not match {self.version_pattern!r}")
        return version


class Base(Strict):
    """One family of base images: `config/bases/<family>.yaml`."""

    name: Name
    description: str
    source_parameter: str = Field(
        pattern=r"^/", description="Public SSM parameter that holds the vendor's newest image id."
    )
    package_manager: Literal["apt", "dnf"]
    ssh_username: str
    instance_type: str = "t3.micro"
    probe: Probe = Probe(http=())
    assertions: Assertions = Assertions()


class Network(Strict):
    """Where instances are placed; both empty means the account's default VPC and its subnets."""

    vpc_id: str = ""
    subnet_ids: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.vpc_id) != bool(self.subnet_ids):
            raise ValueError("vpc_id and subnet_ids go together: give both, or neither for the default VPC")
        return self


class Environment(Strict):
    """One environment: `config/environments/<environment>.yaml`."""

    name: Name
    region: str
    bucket: str = Field(description="Holds Terraform's state, and the release records.")
    aws_conn_id: str = "aws_default"
    network: Network = Network()
    allowed_cidrs: tuple[str, ...] = Field(("0.0.0.0/0",), description="Who may reach the load balancer.")
    pipeline_cidrs: tuple[str, ...] = Field(description="Where builders and probes are reached from.")
    ssh_interface: Literal["private_ip", "session_manager"] = "session_manager"
    install_agents: bool = Field(True, description="Install the Systems Manager agent in base images.")
    builder_instance_profile: str = Field("", description="Instance profile of builders and probes.")
    poll_seconds: float = Field(15, gt=0, description="Seconds between two looks at AWS while waiting.")
    service_overrides: dict[str, Any] = Field({}, description="Merged over every service file.")
    policy: Policy = Policy()


_Model = TypeVar("_Model", bound=Strict)


def _folder(kind: str) -> Path:
    return Path(os.environ.get("REBAKE_CONFIG") or paths.home() / "config") / kind


def _names(kind: str) -> list[str]:
    return sorted(path.stem for path in _folder(kind).glob("*.yaml"))


def service_names() -> list[str]:
    """Return the names of the service files, sorted, without reading them."""
    return _names("services")


def base_names() -> list[str]:
    """Return the names of the base files, sorted, without reading them."""
    return _names("bases")


def load_service(name: str, environment: Environment | None = None) -> Service:
    """Read and validate `config/services/<name>.yaml`, with the environment's overrides merged over it.

    Raises:
        ConfigError: naming the file, the field, the value and what is allowed.
    """
    overrides = (environment or load_environment()).service_overrides
    return _load("services", name, Service, overrides)


def read_service(name: str) -> Service:
    """Read and validate `config/services/<name>.yaml` as it is, without any environment's overrides.

    For DAG files, which are parsed where the environment's variables need not be set.

    Raises:
        ConfigError: naming the file, the field, the value and what is allowed.
    """
    return _load("services", name, Service)


def load_base(name: str) -> Base:
    """Read and validate `config/bases/<name>.yaml`.

    Raises:
        ConfigError: naming the file, the field, the value and what is allowed.
    """
    return _load("bases", name, Base)


def load_environment(name: str | None = None) -> Environment:
    """Read and validate the environment `name`, by default the one that `REBAKE_ENVIRONMENT` names, or `local`.

    Raises:
        ConfigError: naming the file, the field, the value and what is allowed.
    """
    return _load("environments", name or os.environ.get("REBAKE_ENVIRONMENT") or "local", Environment)


def _load(kind: str, name: str, model: type[_Model], overrides: dict[str, Any] | None = None) -> _Model:
    path = _folder(kind) / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(_names(kind)) or "none"
        raise ConfigError(f"{path}: no such file; known {kind}: {known}")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping, found {type(data).__name__}")
    if kind == "environments":
        data = _expand(data, path)
    try:
        loaded = model.model_validate(_merge(data, overrides or {}))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, problem) for problem in error.errors())) from error
    if loaded.name != name:  # type: ignore[attr-defined]
        raise ConfigError(f"{path}: name: must be {name!r} like the file, found {loaded.name!r}")  # type: ignore[attr-defined]
    return loaded


def _explain(path: Path, problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"]) + ": " if problem["loc"] else ""
    found = (
        "" if problem["type"] == "missing" or isinstance(problem["input"], dict) else f", found {problem['input']!r}"
    )
    return f"{path}: {field}{problem['msg'].removeprefix('Value error, ')}{found}"


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _expand(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, path) for item in value]
    if not isinstance(value, str):
        return value

    def lookup(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(f"{path}: ${{{match[1]}}} is not set in the environment of this process")
        return os.environ[match[1]]

    return re.sub(r"\$\{([A-Z][A-Z0-9_]*)\}", lookup, value)
