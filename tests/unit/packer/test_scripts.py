"""The provisioning scripts, as far as they run without a machine to spare: runner, package functions, refusals."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "packer" / "scripts"
ALL = sorted(SCRIPTS.rglob("*.sh"))


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A copy of the scripts that a test may add steps to."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    return tmp_path / "scripts"


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder, first on PATH, for programs that write down how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def add_step(scripts: Path, name: str, text: str) -> None:
    (scripts / f"{name}.sh").write_text(f"set -euo pipefail\n{text}\n", encoding="utf-8")


def add_tool(tools: Path, name: str, status: int = 0, script: str = "") -> None:
    path = tools / name
    script = script or f'echo "{name} $*" >>"{tools.parent}/calls"\nexit {status}'
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def calls(tools: Path) -> list[str]:
    path = tools.parent / "calls"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def run(scripts: Path, *steps: str, tools: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    ours = {"REBAKE_PACKAGE_MANAGER": "apt", "PATH": f"{tools}:{os.environ['PATH']}" if tools else os.environ["PATH"]}
    return subprocess.run(
        ["bash", str(scripts / "run-steps.sh"), *steps],
        env={**os.environ, **ours, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


def test_steps_run_in_order_each_with_its_heading(scripts: Path) -> None:
    add_step(scripts, "one", "echo first")
    add_step(scripts, "two", "echo second >&2")

    result = run(scripts, "one", "two")

    assert result.returncode == 0
    assert re.sub(r"\d+ s", "N s", result.stdout).splitlines() == [
        "==> one",
        "first",
        "    one: N s",
        "==> two",
        "second",
        "    two: N s",
    ]


def test_the_first_failing_step_ends_the_bake_named_after_its_own_message(scripts: Path) -> None:
    add_step(scripts, "bad", "echo no such luck >&2; (exit 7); echo not reached")
    add_step(scripts, "after", "echo not reached either")

    result = run(scripts, "bad", "after")

    assert result.returncode == 7
    assert result.stdout.splitlines() == ["==> bad", "no such luck", "step bad failed with exit status 7"]


def test_a_step_cannot_change_what_the_next_one_finds(scripts: Path) -> None:
    add_step(scripts, "one", "PYTHON_VERSION_APT=changed; pkg_install() { echo changed; }; cd /")
    add_step(scripts, "two", 'echo "$PYTHON_VERSION_APT $(pkg_agent_url 1 eu-west-1) $PWD"')

    result = run(scripts, "one", "two")

    assert result.returncode == 0
    assert "changed" not in result.stdout
    assert str(Path.cwd()) in result.stdout


def test_a_step_without_a_script_is_named(scripts: Path) -> None:
    result = run(scripts, "nowhere")

    assert result.returncode == 1
    assert "there is no script nowhere.sh" in result.stdout


@pytest.mark.parametrize("manager", ["", "yum"])
def test_an_unknown_package_manager_is_refused(scripts: Path, manager: str) -> None:
    result = run(scripts, "update", REBAKE_PACKAGE_MANAGER=manager)

    assert result.returncode == 1
    assert result.stdout == f"REBAKE_PACKAGE_MANAGER='{manager}': must be apt or dnf\n"


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        (
            "apt",
            [r"apt-get .* update", r"apt-get .* dist-upgrade", r"apt-get .* install python3=3\.11\.\* ca-certificates"],
        ),
        ("dnf", [r"dnf .* makecache", r"dnf .* upgrade .*", r"dnf .* install python3-3\.9\.\* ca-certificates"]),
    ],
)
def test_the_same_steps_call_either_package_manager(
    scripts: Path, tools: Path, manager: str, expected: list[str]
) -> None:
    for name in ("apt-get", "dnf", "python3"):
        add_tool(tools, name)

    result = run(scripts, "update", "runtime", tools=tools, REBAKE_PACKAGE_MANAGER=manager)

    assert result.returncode == 0, result.stdout
    found = [call for call in calls(tools) if not call.startswith("python3")]
    assert len(found) == len(expected)
    assert [call for call, pattern in zip(found, expected, strict=True) if not re.fullmatch(pattern, call)] == []


def test_a_package_manager_that_fails_ends_the_bake(scripts: Path, tools: Path) -> None:
    add_tool(tools, "apt-get", status=100)

    result = run(scripts, "update", tools=tools)

    assert result.returncode == 100
    assert "step update failed with exit status 100" in result.stdout


def test_no_agent_is_installed_where_none_is_wanted(scripts: Path, tools: Path) -> None:
    for name in ("apt-get", "curl", "systemctl"):
        add_tool(tools, name)

    result = run(scripts, "agents", tools=tools, REBAKE_INSTALL_AGENTS="false")

    assert result.returncode == 0
    assert calls(tools) == []


def test_an_agent_that_the_vendor_ships_is_only_enabled(scripts: Path, tools: Path) -> None:
    for name in ("dnf", "curl", "systemctl"):
        add_tool(tools, name)

    result = run(scripts, "agents", tools=tools, REBAKE_INSTALL_AGENTS="true", REBAKE_PACKAGE_MANAGER="dnf")

    assert result.returncode == 0
    assert calls(tools) == [
        "systemctl cat amazon-ssm-agent.service",
        "systemctl enable --now --quiet amazon-ssm-agent.service",
    ]


def test_a_missing_agent_is_fetched_at_its_pinned_version(scripts: Path, tools: Path) -> None:
    for name in ("apt-get", "curl"):
        add_tool(tools, name)
    add_tool(tools, "systemctl", script='[ "$1" != cat ]')
    add_tool(tools, "uname", script="echo x86_64")
    version = re.search(r'SSM_AGENT_VERSION="(.+)"', (SCRIPTS / "versions.sh").read_text(encoding="utf-8"))
    assert version

    result = run(scripts, "agents", tools=tools, REBAKE_INSTALL_AGENTS="true", REBAKE_REGION="eu-west-1")

    assert result.returncode == 0, result.stdout
    address = f"https://s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1/{version[1]}/debian_amd64/amazon-ssm-agent.deb"
    assert [call.rpartition(" ")[2] for call in calls(tools) if call.startswith("curl")] == [address]
    assert re.search(r"install /\S+/amazon-ssm-agent\.deb$", calls(tools)[-1])


def test_a_builder_without_an_agent_installs_it_at_its_first_boot(tools: Path) -> None:
    """The template concatenates these files to user data: together they must be one working script."""
    for name in ("apt-get", "curl"):
        add_tool(tools, name)
    add_tool(tools, "systemctl", script='[ "$1" != cat ]')
    template = (SCRIPTS.parent / "base" / "base.pkr.hcl").read_text(encoding="utf-8")
    files = re.findall(r'file\("\$\{path\.root\}/\.\./scripts/(.+?)"\)', template)

    result = subprocess.run(
        ["bash", "-s"],
        input="\n".join((SCRIPTS / name).read_text(encoding="utf-8") for name in files),
        env={
            "PATH": f"{tools}:{os.environ['PATH']}",
            "REBAKE_PACKAGE_MANAGER": "apt",
            "REBAKE_REGION": "eu-west-1",
            "REBAKE_INSTALL_AGENTS": "true",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"install /\S+/amazon-ssm-agent\.deb$", calls(tools)[-1])


def test_an_artifact_with_another_checksum_is_refused_before_anything_changes(scripts: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "webapp.tar.gz"
    artifact.write_bytes(b"damaged")

    result = run(
        scripts,
        "install-artifact",
        REBAKE_SERVICE="rebake-test-nobody",
        REBAKE_ARTIFACT=str(artifact),
        REBAKE_ARTIFACT_SHA256="0" * 64,
    )

    assert result.returncode == 1
    found = hashlib.sha256(b"damaged").hexdigest()
    assert f"the artifact that arrived has SHA-256 {found}, expected {'0' * 64}" in result.stdout
    assert not Path("/opt/rebake-test-nobody").exists()


@pytest.mark.parametrize("script", ALL, ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_only_the_package_functions_know_package_managers(script: Path) -> None:
    code = re.sub(r"#.*", "", script.read_text(encoding="utf-8"))
    found = re.findall(r"\b(?:apt-get|dpkg\S*|rpm|yum)\b|\bdnf (?!\|)\w+", code)

    assert found == [] or script.name == "packages.sh"


@pytest.mark.parametrize("script", ALL, ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_only_one_file_holds_versions(script: Path) -> None:
    code = re.sub(r"#.*", "", script.read_text(encoding="utf-8"))

    assert re.findall(r"\b\d+\.\d+[.\d*]*", code) == [] or script.name == "versions.sh"


@pytest.mark.parametrize("script", ALL, ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_a_script_says_what_it_is_for_and_stops_at_the_first_error(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()

    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# ")
    assert "set -euo pipefail" in lines or script.name in {"packages.sh", "versions.sh"}


def test_a_check_names_everything_that_is_not_as_the_step_left_it_and_fails(scripts: Path, tools: Path) -> None:
    """On this machine nothing was hardened."""
    add_tool(tools, "readlink", script="[ ${1##*/} = cups.socket ] || echo /dev/null")

    result = run(scripts, "checks/harden-services", tools=tools)

    assert result.returncode == 1
    assert [line for line in result.stdout.splitlines() if "masked" in line] == ["cups.socket is not masked"]
    assert "step checks/harden-services failed with exit status 1" in result.stdout


def test_the_check_of_services_covers_every_unit_that_the_step_masks() -> None:
    names = re.compile(r"[\w-]+\.(?:service|socket|timer)")
    did = (SCRIPTS / "harden-services.sh").read_text(encoding="utf-8")
    checked = (SCRIPTS / "checks" / "harden-services.sh").read_text(encoding="utf-8")

    assert set(names.findall(did)) == set(names.findall(checked))


@pytest.mark.parametrize("found", ["passwordauthentication yes", ""])
def test_the_check_of_sshd_goes_by_what_sshd_would_use(scripts: Path, tools: Path, found: str) -> None:
    for name in ("ssh-keygen", "install"):
        add_tool(tools, name)
    effective = ["permitrootlogin no", "kbdinteractiveauthentication no", "permitemptypasswords no", found]
    add_tool(tools, "sshd", script="\n".join(["cat <<'END'", *effective, "END"]))

    result = run(scripts, "checks/harden-ssh", tools=tools)

    assert result.returncode == 1
    assert "sshd would not use 'passwordauthentication no'" in result.stdout
