"""What is chosen once for a clone and then stays: ports, the instances' network, passwords."""

from __future__ import annotations

import json
import os
import secrets
import socket
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from localcloud import network
from stack.errors import InputError
from stack.layout import Layout

ENVIRONMENT = "local"
REGION: Final = "eu-west-1"
ACCESS_KEY: Final = "AKIAEMBEDDEDCLOUD"
"""The pipeline's; any will do. Airflow masks a connection's password wherever a log has it: no name of ours has it."""
PERSONS_KEY: Final = "AKIAAPERSON"
"""Of whoever asks on the command line, so that the cloud's request log tells the pipeline's own requests."""


@dataclass
class Settings:
    """The choices of one clone, kept in `.rebake/stack.json`, which only its owner can read."""

    cloud_port: int
    airflow_port: int
    network_cidr: str
    admin_password: str
    api_secret: str
    fernet_key: str

    @property
    def cloud_url(self) -> str:
        """Where the embedded cloud answers."""
        return f"http://127.0.0.1:{self.cloud_port}"

    @property
    def airflow_url(self) -> str:
        """Where Airflow's UI and REST API answer."""
        return f"http://127.0.0.1:{self.airflow_port}"


def load(layout: Layout) -> Settings | None:
    """Return the choices made earlier, or None before the first start."""
    path = _file(layout)
    return Settings(**json.loads(path.read_text())) if path.is_file() else None


def choose(layout: Layout, *, cloud_runs: bool, airflow_runs: bool) -> Settings:
    """Return the settings to start with: those of before, but for a port or network that was taken meanwhile.

    Args:
        layout: The clone.
        cloud_runs: The embedded cloud is running: its port and network stay.
        airflow_runs: Airflow is running: its port stays.

    Raises:
        InputError: a port that the environment asks for is no port, or is taken.
    """
    before = load(layout)
    chosen = Settings(
        cloud_port=_port("REBAKE_CLOUD_PORT", before.cloud_port if before else None, runs=cloud_runs),
        airflow_port=_port("REBAKE_AIRFLOW_PORT", before.airflow_port if before else None, runs=airflow_runs),
        network_cidr=before.network_cidr if before else "",
        admin_password=before.admin_password if before else secrets.token_urlsafe(12),
        api_secret=before.api_secret if before else secrets.token_urlsafe(32),
        fernet_key=before.fernet_key if before else urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    )
    if not cloud_runs:
        chosen.network_cidr = str(network.choose(layout.clone_id, network.host_routes()))
    path = _file(layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, as_json(chosen))
    return chosen


def as_json(chosen: Settings) -> str:
    """Return settings as they are kept."""
    return json.dumps(asdict(chosen), indent=2) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Say whether nobody listens on the port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _file(layout: Layout) -> Path:
    return layout.state / "stack.json"


def _port(variable: str, before: int | None, *, runs: bool) -> int:
    asked = os.environ.get(variable)
    if runs and before:
        if asked and asked != str(before):
            raise InputError(f"{variable}={asked}, but it runs on port {before}: `make down` first")
        return before
    if asked:
        if not asked.isdigit() or not 1 <= int(asked) <= 65535:
            raise InputError(f"{variable}={asked} is not a port: give a number from 1 to 65535")
        if not is_free(int(asked)):
            raise InputError(f"{variable}={asked}: the port is taken on 127.0.0.1: name another, or leave it out")
        return int(asked)
    return before if before and is_free(before) else free_port()
