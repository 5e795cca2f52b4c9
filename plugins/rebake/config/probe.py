"""The checks of a service or a base that an image must pass before it is promoted."""

from typing import Protocol

from pydantic import Field

from rebake.config.strict import Strict


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


class ProbeSubject(Protocol):
    """What an image is tested for: a `Service`, or a `Base`."""

    @property
    def name(self) -> str:
        """The service's name, or the family's."""

    @property
    def probe(self) -> Probe:
        """The checks."""

    @property
    def instance_type(self) -> str:
        """Type of the temporary instance."""

    @property
    def port(self) -> int | None:
        """Where the application listens; none if there is no application."""
