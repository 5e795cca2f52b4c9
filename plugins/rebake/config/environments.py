"""An environment is one file: `config/environments/<environment>.yaml`.

`${NAME}` in it is replaced from the process environment.
"""

import os
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from rebake.config import files
from rebake.config.policy import Policy
from rebake.config.strict import Name, Strict


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
    poll_seconds: float = Field(15, gt=0, description="Seconds between two polls of AWS while waiting.")
    service_overrides: dict[str, Any] = Field({}, description="Merged over every service file.")
    policy: Policy = Policy()

    @property
    def connection(self) -> dict[str, Any]:
        """Arguments that point a hook or a trigger at the environment's account and region."""
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region}


def load_environment(name: str | None = None) -> Environment:
    """Read and validate the environment `name`, by default the one that `REBAKE_ENVIRONMENT` names, or `local`.

    See `files.load`.
    """
    return files.load("environments", name or os.environ.get("REBAKE_ENVIRONMENT") or "local", Environment)
