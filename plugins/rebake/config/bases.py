"""A family of base images is one file: `config/bases/<family>.yaml`."""

from typing import Literal

from pydantic import Field

from rebake.config import files
from rebake.config.assertions import Assertions
from rebake.config.probe import Probe
from rebake.config.strict import Name, Strict


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

    @property
    def port(self) -> None:
        """A base image has no application that listens."""


def base_names() -> list[str]:
    """Return the names of the base files, sorted, without reading them."""
    return files.names("bases")


def load_base(name: str) -> Base:
    """Read and validate `config/bases/<name>.yaml`, see `files.load`."""
    return files.load("bases", name, Base)
