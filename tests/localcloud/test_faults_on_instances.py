"""Faults of real instances."""

import time
import urllib.request
from collections.abc import Iterator

import pytest

from tests.localcloud.server_support import Server, wait_until

pytestmark = pytest.mark.engine

SERVICE = """#!/bin/sh
cat >/etc/systemd/system/hello.service <<'END'
[Service]
ExecStart=/usr/bin/python3 -m http.server 8080
Restart=always
RestartSec=100ms
END
systemctl daemon-reload
systemctl start hello
"""


@pytest.fixture(scope="module", autouse=True)
def _reachable(server: Server) -> None:
    server.open_default_group()


@pytest.fixture
def clean(server: Server) -> Iterator[Server]:
    """Leave no fault to the tests that follow."""
    yield server
    server.admin("faults", "DELETE")


def launch(server: Server, **tags: str) -> str:
    tagged = {"ResourceType": "instance", "Tags": [{"Key": name, "Value": value} for name, value in tags.items()]}
    return server.launch(UserData=SERVICE, TagSpecifications=[tagged])


def serves(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_an_instance_that_never_boots_stays_pending_beside_one_that_does(clean: Server) -> None:
    clean.admin("faults", "POST", {"kind": "never-boots", "tags": {"fate": "never"}})
    victim, neighbour = launch(clean, fate="never"), launch(clean, fate="fine")
    clean.wait_for_state(neighbour, "running")

    state = clean.instance(victim)["State"]["Name"]
    containers = clean.containers()
    clean.client("ec2").terminate_instances(InstanceIds=[victim])

    clean.wait_for_state(victim, "terminated", 10)
    assert state == "pending"
    assert not any(victim in name for name in containers)
    assert clean.admin("faults")[0]["on"] == {victim: 1}


def test_an_instance_that_never_boots_is_terminated_when_its_time_is_over(clean: Server) -> None:
    clean.admin("faults", "POST", {"kind": "never-boots", "image": clean.seed_image(), "seconds": 1})

    ended = clean.wait_for_state(launch(clean, fate="never"), "terminated")

    assert ended["StateReason"]["Message"] == "Server.InternalError: a fault kept it from booting for 1 s"


def test_an_instance_that_never_serves_runs(clean: Server) -> None:
    """It can be reached and inspected; only the service does not start, and logs why."""
    clean.admin("faults", "POST", {"kind": "never-serves", "tags": {"fate": "mute"}, "service": "hello"})
    victim, neighbour = launch(clean, fate="mute"), launch(clean, fate="fine")
    addresses = [clean.wait_for_state(each, "running")["PrivateIpAddress"] for each in (victim, neighbour)]
    wait_until(lambda: serves(addresses[1]), "the neighbour serves")
    clean.command(victim, "systemctl is-system-running --wait")

    shown = clean.command(victim, "systemctl start hello; systemctl status hello")

    assert not serves(addresses[0])
    assert "ConditionPathExists=/broken-by-a-fault-of-the-embedded-cloud" in shown["StandardOutputContent"]


def test_a_service_dies_when_its_time_has_come_and_stays_dead(clean: Server) -> None:
    """Also in an instance that ran before the fault was made, and however much systemd wants to restart it."""
    victim = launch(clean, **{"rebake:service": "hello"})
    address = clean.wait_for_state(victim, "running")["PrivateIpAddress"]
    wait_until(lambda: serves(address), "it serves")
    began = time.monotonic()

    clean.admin("faults", "POST", {"kind": "service-dies", "instance": victim, "seconds": 2})
    wait_until(lambda: not serves(address), "it is dead")
    took = time.monotonic() - began
    wait_until(lambda: bool(clean.admin("faults")[0]["fired"]), "it is counted")
    shown = clean.command(victim, "systemctl start hello; sleep 0.5; systemctl is-active hello")

    assert took >= 2
    # Systemd calls it failed where the kill came first and the stop after it.
    assert shown["StandardOutputContent"].strip() in {"inactive", "failed"}
    assert not serves(address)
    assert clean.instance(victim)["State"]["Name"] == "running"
