"""Settings that are chosen once for a clone: ports, the instances' network, passwords."""

import ipaddress
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
"""The pipeline's. Any text works, but no name of ours may contain it: Airflow masks it in all logs."""
PERSONS_KEY: Final = "AKIAAPERSON"
"""Used by the commands, so that the cloud's request log distinguishes them from the pipeline."""
WATCHER_KEY: Final = "AKIAWATCHESONLYXXXXX"
"""Of who observes a proof, which separates its requests from the pipeline's."""
ROOT_KEYS: Final = (ACCESS_KEY, PERSONS_KEY, WATCHER_KEY)
"""Where policies are enforced, these are keys of the account's root; each is its own secret."""


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
        """The address of the embedded cloud."""
        return f"http://127.0.0.1:{self.cloud_port}"

    @property
    def worker_cidr(self) -> str:
        """Whence this machine reaches instances: the gateway of their network."""
        return f"{ipaddress.ip_network(self.network_cidr)[1]}/32"

    @property
    def airflow_url(self) -> str:
        """The address of Airflow's UI and REST API."""
        return f"http://127.0.0.1:{self.airflow_port}"


def load(layout: Layout) -> Settings | None:
    """Return the settings, or None before the first start."""
    path = _file(layout)
    return Settings(**json.loads(path.read_text())) if path.is_file() else None


def choose(layout: Layout, *, cloud_runs: bool, airflow_runs: bool) -> Settings:
    """Return the settings to start with: the earlier ones, except a port or network that is taken by now.

    Args:
        layout: The clone.
        cloud_runs: The embedded cloud is running: its port and network stay.
        airflow_runs: Airflow is running: its port stays.

    Raises:
        InputError: the environment names a port that is invalid or taken.
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
    """Return settings as JSON."""
    return json.dumps(asdict(chosen), indent=2) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return whether a port of the loopback address is free."""
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
    requested = os.environ.get(variable)
    if runs and before:
        if requested and requested != str(before):
            raise InputError(f"{variable}={requested}, but it runs on port {before}: `make down` first")
        return before
    if requested:
        if not requested.isdigit() or not 1 <= int(requested) <= 65535:
            raise InputError(f"{variable}={requested} is not a port: give a number from 1 to 65535")
        if not is_free(int(requested)):
            raise InputError(f"{variable}={requested}: the port is taken on 127.0.0.1: name another, or leave it out")
        return int(requested)
    return before if before and is_free(before) else free_port()
