"""The script that has an instance tell what it is like, and the reading of what it told."""

import base64
import gzip
import os
import subprocess
from pathlib import Path

import pytest

from rebake import config
from rebake.base.inspection import OUTPUT_LIMIT, CheckResult, File, Package, decode, script
from rebake.exceptions import ImageError
from tests.unit.base.base_facts import ASSERTIONS, LINES, encoded

TOOLS = {
    "dpkg-query": 'for i in $(seq 900); do echo "package-with-a-name-$i 1.$i.0-$i+deb12u1 amd64"; done',
    "systemctl": '[ "$1" != is-active ] || echo active; [ "$1" != is-enabled ] || echo enabled',
    "systemd-detect-virt": "exit 1",
    "ss": (
        """echo 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))'\n"""
        "echo 'udp UNCONN 0 0 [::]:68 [::]:*'"
    ),
    "sysctl": "echo 0",
    "sshd": "echo this is no sshd; exit 3",
}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of programs that answer as on an instance with many packages."""
    for name, body in TOOLS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def test_what_the_script_prints_is_read_back_and_fits_run_commands_output(tools: Path) -> None:
    ran = subprocess.run(
        ["bash", "-c", script("apt", ASSERTIONS)],
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    facts = decode(ran.stdout)

    assert len(ran.stdout) < OUTPUT_LIMIT / 2
    assert len(facts.packages) == 900
    assert Package("package-with-a-name-7", "1.7.0-7+deb12u1", "amd64") in facts.packages
    assert [(one.address, one.port, one.process) for one in facts.listeners] == [
        ("0.0.0.0", "22/tcp", "sshd"),
        ("[::]", "68/udp", ""),
    ]
    assert facts.services["ssh.service"].enabled == "enabled"
    assert facts.users["root"].id == 0
    assert facts.files["/etc/hosts.equiv"] is None
    assert facts.sysctls == {"net.ipv4.ip_forward": "0"}
    assert set(facts.checks) == {"accounts", "kernel", "services", "ssh"}
    assert facts.checks["ssh"].code != 0


@pytest.mark.parametrize("family", config.base_names())
def test_the_script_of_every_family_is_one_that_bash_reads_and_that_run_command_takes(family: str) -> None:
    base = config.load_base(family)
    text = script(base.package_manager, base.assertions)

    subprocess.run(["bash", "-n", "-c", text], check=True, capture_output=True, timeout=30)
    assert len(text) < 32_000, "a document of Systems Manager has 64 KB at most"


def test_every_kind_of_fact_is_read() -> None:
    facts = decode(encoded("authorized_key\t/root/.ssh/authorized_keys\tme", "old_host_key\t/etc/ssh/key", *LINES))

    assert (facts.os_id, facts.os_version) == ("debian", "12")
    assert facts.files == {"/etc/shadow": File("0640", "root", "shadow"), "/etc/hosts.equiv": None}
    assert facts.checks["ssh"] == CheckResult(0, "")
    assert facts.authorized_keys == ["/root/.ssh/authorized_keys: me"]
    assert facts.old_host_keys == ["/etc/ssh/key"]


def test_output_that_was_cut_is_no_answer() -> None:
    noise = base64.b64encode(gzip.compress(os.urandom(OUTPUT_LIMIT))).decode()

    with pytest.raises(ImageError, match="cut at 24000 characters"):
        decode(noise[:OUTPUT_LIMIT])


@pytest.mark.parametrize("output", ["sh: 1: not found", "AAAA"])
def test_output_of_something_else_is_no_answer(output: str) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        decode(output)


def test_no_package_at_all_is_no_answer() -> None:
    """It would pass for an image that has none of what must be absent."""
    with pytest.raises(ImageError, match="reports no packages"):
        decode(encoded(*(line for line in LINES if not line.startswith("package"))))


def test_an_answer_without_its_end_is_no_answer() -> None:
    with pytest.raises(ImageError, match="has no end"):
        decode(encoded(*LINES[:-1]))
