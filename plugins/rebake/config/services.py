"""A service is one file: `config/services/<service>.yaml`."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from rebake.config import files
from rebake.config.environments import Environment, load_environment
from rebake.config.probe import Probe
from rebake.config.rollout import RolloutConfig
from rebake.config.strict import Name, Strict
from rebake.exceptions import ConfigError


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


class FleetConfig(Strict):
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
    fleet: FleetConfig
    probe: Probe = Probe()
    rollout: RolloutConfig = RolloutConfig()

    @property
    def instance_type(self) -> str:
        """Type of the service's instances, also of the temporary one that tests an image."""
        return self.fleet.instance_type

    @property
    def port(self) -> int:
        """Where the application listens on an instance."""
        return self.fleet.port

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
            raise ConfigError(f"version {version!r} of {self.name} does not match {self.version_pattern}")
        return version


def service_names() -> list[str]:
    """Return the names of the service files, sorted, without reading them."""
    return files.names("services")


def load_service(name: str, environment: Environment | None = None) -> Service:
    """Read and validate `config/services/<name>.yaml`, with the environment's overrides merged over it.

    See `files.load`.
    """
    overrides = (environment or load_environment()).service_overrides
    return files.load("services", name, Service, overrides)


def load_services(environment: Environment) -> dict[str, Service | ConfigError]:
    """Return every service file by its name: what it declares, or what is wrong with it."""
    found: dict[str, Service | ConfigError] = {}
    for name in service_names():
        try:
            found[name] = load_service(name, environment)
        except ConfigError as error:
            found[name] = error
    return found


def read_service(name: str) -> Service:
    """Read and validate `config/services/<name>.yaml` as it is, without any environment's overrides.

    For DAG files, which are parsed where the environment's variables need not be set. See `files.load`.
    """
    return files.load("services", name, Service)
