"""Each clone chooses what it needs once, and keeps it."""

import ipaddress
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import osimage, settings
from stack.console import table
from stack.errors import InputError
from stack.layout import RUNROOT_LIMIT, SOCKET_LIMIT, Layout


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Return a port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def _choose(layout: Layout, *, running: bool = False) -> settings.Settings:
    return settings.choose(layout, cloud_runs=running, airflow_runs=running)


def test_choices_are_kept_from_one_start_to_the_next(tmp_path: Path) -> None:
    first = _choose(Layout(tmp_path))

    assert _choose(Layout(tmp_path)) == first
    assert settings.load(Layout(tmp_path)) == first


def test_nothing_is_known_before_the_first_start(tmp_path: Path) -> None:
    assert settings.load(Layout(tmp_path)) is None


def test_only_the_owner_can_read_the_passwords(tmp_path: Path) -> None:
    _choose(Layout(tmp_path))

    assert stat.S_IMODE((tmp_path / ".rebake" / "stack.json").stat().st_mode) == 0o600


def test_two_clones_have_names_networks_and_passwords_of_their_own(tmp_path: Path) -> None:
    one, other = Layout(tmp_path / "one"), Layout(tmp_path / "other")
    first, second = _choose(one), _choose(other)

    assert one.clone_id != other.clone_id
    assert first.admin_password != second.admin_password
    assert not ipaddress.ip_network(first.network_cidr).overlaps(ipaddress.ip_network(second.network_cidr))


@pytest.mark.parametrize("running", [False, True])
def test_a_taken_port_is_replaced_unless_our_own_service_runs_on_it(
    tmp_path: Path, taken_port: int, running: bool
) -> None:
    layout = Layout(tmp_path)
    before = _choose(layout)
    before.cloud_port = taken_port
    settings.write_private(tmp_path / ".rebake" / "stack.json", settings.as_json(before))

    assert (_choose(layout, running=running).cloud_port == taken_port) is running


def test_ports_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = settings.free_port()
    monkeypatch.setenv("REBAKE_AIRFLOW_PORT", str(port))

    assert _choose(Layout(tmp_path)).airflow_port == port


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_setting_that_is_no_port_is_refused(port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REBAKE_CLOUD_PORT", port)

    with pytest.raises(InputError, match=f"REBAKE_CLOUD_PORT={port} is not a port"):
        _choose(Layout(tmp_path))


def test_a_port_that_is_asked_for_and_taken_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    monkeypatch.setenv("REBAKE_AIRFLOW_PORT", str(taken_port))

    with pytest.raises(InputError, match=f"REBAKE_AIRFLOW_PORT={taken_port}: the port is taken"):
        _choose(Layout(tmp_path))


def test_another_port_for_a_service_that_runs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    _choose(layout)
    monkeypatch.setenv("REBAKE_CLOUD_PORT", "1")

    with pytest.raises(InputError, match="make down"):
        _choose(layout, running=True)


def test_a_second_stack_shares_the_tools_and_nothing_else() -> None:
    own, second = Layout.here(), Layout.here("test")

    assert own.clone_id != second.clone_id
    assert own.podman == second.podman
    assert {own.airflow, own.logs, own.pids}.isdisjoint({second.airflow, second.logs, second.pids})
    assert osimage.reference(own) == osimage.reference(second)


@pytest.mark.parametrize("folder", ["/work", "/home/somebody/a/folder/with/a/very/long/path/to/many/projects/rebake"])
def test_podman_gets_paths_that_it_accepts_however_deep_the_clone_lies(folder: str) -> None:
    layout = Layout(Path(folder))

    assert len(str(layout.podman_run)) <= RUNROOT_LIMIT
    assert len(str(layout.podman_run / "engine.sock")) <= SOCKET_LIMIT


def test_a_clone_with_a_short_path_keeps_everything_inside() -> None:
    layout = Layout(Path("/srv/rebake"))

    assert layout.podman_run.is_relative_to(layout.project)


def test_a_table_has_its_first_column_to_the_left_and_the_others_to_the_right() -> None:
    assert table(("stage", "s"), [("bake", 12.5), ("promote_ami", 1)]).splitlines() == [
        "stage           s",
        "-----------  ----",
        "bake         12.5",
        "promote_ami     1",
    ]
