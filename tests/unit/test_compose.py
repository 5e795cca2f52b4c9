"""The distributed stack's file, and the script that generates its secrets: what must hold without starting it."""

import base64
import ipaddress
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

SECRETS = (
    "REBAKE_ADMIN_PASSWORD",
    "REBAKE_API_SECRET",
    "REBAKE_FERNET_KEY",
    "REBAKE_JWT_SECRET",
    "REBAKE_POSTGRES_PASSWORD",
    "REBAKE_REDIS_PASSWORD",
)


@pytest.fixture(scope="module")
def services(project: Path) -> dict[str, dict[str, Any]]:
    """Return the services of docker-compose.yaml, anchors resolved and variables not."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load((project / "docker-compose.yaml").read_text())["services"]
    return loaded


def clone(project: Path, folder: Path) -> Path:
    """Make a folder with the script in it, as a clone has it, and return it."""
    (folder / "setup" / "compose").mkdir(parents=True)
    shutil.copy(project / "setup" / "compose" / "env.sh", folder / "setup" / "compose")
    return folder


def write_settings(folder: Path, **environment: str) -> dict[str, str]:
    """Run env.sh in that clone, with nothing else in its environment, and return the lines of its .env."""
    subprocess.run(
        [folder / "setup" / "compose" / "env.sh"],
        env={"PATH": "/usr/bin:/bin", **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    lines = (folder / ".env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    assert len(settings) == len(lines)
    return settings


def test_every_published_port_is_on_the_loopback_address(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_is_written_in_the_file(services: dict[str, dict[str, Any]]) -> None:
    """Every password, key and secret comes from a variable that compose refuses to leave empty."""
    secret = re.compile(r"(PASSWORD|SECRET|SECRET_KEY|FERNET_KEY|REDISCLI_AUTH)$")
    found = {
        name: value
        for service in services.values()
        for name, value in service.get("environment", {}).items()
        if secret.search(name)
    }

    assert found
    assert all(re.fullmatch(r"\$\{REBAKE_[A-Z_]+:\?\}", value) for value in found.values())


def test_everything_that_keeps_running_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    """Only the service that builds an image and ends has none."""
    assert [name for name, service in services.items() if "healthcheck" not in service] == ["os-image"]


def test_only_the_embedded_cloud_gets_the_engine_socket(services: dict[str, dict[str, Any]]) -> None:
    """The socket is as good as root on the machine."""
    holders = [
        name
        for name, service in services.items()
        if any("SOCKET" in volume or ".sock" in volume for volume in service.get("volumes", []))
    ]

    assert holders == ["localcloud"]


def test_the_database_and_the_queue_are_not_in_the_instances_network(services: dict[str, dict[str, Any]]) -> None:
    """An instance runs code of other people's, and has no business there."""
    inside = {name for name, service in services.items() if "cloud" in service.get("networks", [])}

    assert inside == {"localcloud", "airflow-apiserver", "airflow-triggerer", "airflow-worker"}


def test_every_variable_of_the_file_is_written_by_the_script(project: Path, tmp_path: Path) -> None:
    """A variable without a line in .env would stop compose, or leave a setting empty."""
    named = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", (project / "docker-compose.yaml").read_text()))

    assert named == write_settings(clone(project, tmp_path)).keys()


def test_the_settings_are_private_and_stay_the_same(project: Path, tmp_path: Path) -> None:
    """Running the script again keeps each value, also when .env was made readable or the environment differs."""
    folder = clone(project, tmp_path)
    first = write_settings(folder, REBAKE_UI_PORT="9090")
    (folder / ".env").chmod(0o644)

    second = write_settings(folder, REBAKE_UI_PORT="9191")

    assert first["REBAKE_UI_PORT"] == "9090"
    assert second == first
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600


def test_a_missing_setting_is_added_and_the_others_stay(project: Path, tmp_path: Path) -> None:
    """A newer version of the project may need one more line."""
    folder = clone(project, tmp_path)
    (folder / ".env").write_text("REBAKE_ADMIN_PASSWORD=chosen by hand\n")

    settings = write_settings(folder)

    assert settings["REBAKE_ADMIN_PASSWORD"] == "chosen by hand"
    assert set(SECRETS) <= settings.keys()


def test_two_clones_share_no_secret_no_name_and_no_network(project: Path, tmp_path: Path) -> None:
    one, other = (write_settings(clone(project, tmp_path / name)) for name in ("one", "other"))

    for name in (*SECRETS, "COMPOSE_PROJECT_NAME", "REBAKE_NETWORK_CIDR"):
        assert one[name] != other[name], name


def test_the_settings_have_the_forms_that_their_readers_need(project: Path, tmp_path: Path) -> None:
    """Fernet takes 32 bytes in URL-safe base 64, a password stands in a URL, the network is a /24 outside of make's."""
    settings = write_settings(clone(project, tmp_path))
    network = ipaddress.IPv4Network(settings["REBAKE_NETWORK_CIDR"])

    assert len(base64.urlsafe_b64decode(settings["REBAKE_FERNET_KEY"])) == 32
    assert all(re.fullmatch(r"[0-9a-f]{24,}", settings[name]) for name in SECRETS if name != "REBAKE_FERNET_KEY")
    assert network.prefixlen == 24
    assert network.subnet_of(ipaddress.IPv4Network("10.128.0.0/10"))
    assert ipaddress.IPv4Network(settings["REBAKE_WORKER_CIDR"]).subnet_of(network)


def test_the_worker_may_read_artifacts_that_are_built_after_the_script_ran(project: Path, tmp_path: Path) -> None:
    """The folder is mounted into a container whose user is another."""
    folder = clone(project, tmp_path)

    write_settings(folder)

    assert (folder / "build").stat().st_mode & 0o005 == 0o005
