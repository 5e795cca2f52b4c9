import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rebake.exceptions import (
    CloudUnreachableError,
    ToolFailedError,
    ToolKilledError,
    ToolMissingError,
    ToolStoppedError,
)
from rebake.tools import runner
from rebake.tools.process import Silence
from rebake.tools.runner import PACKER, TERRAFORM, Runner, find
from rebake.tools.workspace import Workspace

Make = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path) -> Make:
    """Make a program in a folder that is on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


def _environment(tmp_path: Path, **extra: str) -> dict[str, str]:
    return {"PATH": f"{tmp_path}/bin", **extra}


def test_a_tool_on_path_is_found_with_its_version(tmp_path: Path, program: Make) -> None:
    path = program("packer", "echo Packer v1.11.2")

    assert find(PACKER, _environment(tmp_path)) == runner.Found(PACKER, str(path), (1, 11, 2))


def test_terraform_comes_before_tofu_and_the_override_before_both(tmp_path: Path, program: Make) -> None:
    tofu = str(program("tofu", "echo OpenTofu v1.10.6; echo on linux_amd64"))
    assert find(TERRAFORM, _environment(tmp_path)).path == tofu

    terraform = program("terraform", "echo Terraform v1.11.4")
    assert find(TERRAFORM, _environment(tmp_path)).path == str(terraform)
    for override in (tofu, "tofu"):
        assert find(TERRAFORM, _environment(tmp_path, REBAKE_TERRAFORM=override)).path == tofu


@pytest.mark.parametrize(
    ("tool", "script", "parts"),
    [
        (PACKER, "", ["Packer (`packer`) is missing", "Debian's package `packer`", "not on PATH ({0})", "${1}"]),
        (TERRAFORM, "", ["(`terraform` or `tofu`) is missing", "opentofu.org", "not on PATH ({0})", "${1}"]),
        (
            TERRAFORM,
            "echo Terraform v1.5.7",
            ["Terraform 1.5.7", "{0}/terraform", "1.10.0 or later", "locks in S3", "${1}"],
        ),
        (PACKER, "echo no dictionary >&2; exit 1", ["not print the version of Packer; it printed: no dictionary"]),
    ],
    ids=["no packer", "no terraform", "too old", "no version"],
)
def test_a_tool_that_cannot_be_used_is_named_with_the_reason_and_what_to_do(
    tool: runner.Tool, script: str, parts: list[str], tmp_path: Path, program: Make
) -> None:
    if script:
        program(tool.names[0], script)

    with pytest.raises(ToolMissingError) as caught:
        find(tool, _environment(tmp_path))

    for part in parts:
        assert part.format(tmp_path / "bin", tool.override) in str(caught.value)


def test_an_override_that_names_no_program_is_quoted(tmp_path: Path, program: Make) -> None:
    program("packer", "echo Packer v1.11.2")

    with pytest.raises(ToolMissingError, match=r"\$REBAKE_PACKER is '/opt/none', which is no program"):
        find(PACKER, _environment(tmp_path, REBAKE_PACKER="/opt/none"))


def test_a_tool_inherits_what_it_needs_and_no_secret_of_the_worker() -> None:
    worker = {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy:3128",
        "TF_CLI_CONFIG_FILE": "/x",
        "AIRFLOW_CONN_AWS_DEFAULT": "secret",
        "AIRFLOW__CORE__FERNET_KEY": "secret",
        "AWS_PROFILE": "someone-else",
    }

    assert runner.inherited(worker) == {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy:3128",
        "TF_CLI_CONFIG_FILE": "/x",
    }


@pytest.fixture
def make_runner(tmp_path: Path, program: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Runner]:
    def make(script: str, **options: Any) -> Runner:
        program("packer", f'[ "$1" = version ] && echo v1.11.2 && exit\n{script}')
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        folder = tmp_path / "work"
        folder.mkdir()
        lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
        return Runner(PACKER, Workspace(folder, lock), environment={}, log=Silence(), grace=5, **options)

    return make


def test_a_failure_carries_status_and_the_end_of_the_output(make_runner: Callable[..., Runner]) -> None:
    with pytest.raises(ToolFailedError) as caught:
        make_runner("echo something broke; exit 3").run("build", "x")

    assert str(caught.value) == "Packer (build) failed with status 3. The end of its output:\nsomething broke"


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("Error: RequestError: send request failed caused by: connect: connection refused", CloudUnreachableError),
        ("Error: S3: PutObject, https response error StatusCode: 0, request send failed, Put", CloudUnreachableError),
        ("Error querying AMI: RequestLimitExceeded: Request limit exceeded.", CloudUnreachableError),
        ("Error: operation error EC2: DescribeVpcs, api error InternalError: An internal error", CloudUnreachableError),
        ("Error: waiting for capacity: Client.InternalError: Client error on launch", ToolFailedError),
        ("pymysql.err.InternalError: (1049, Unknown database)", ToolFailedError),
        ("api error SlowDown: Slow down\\nThe state has been written to errored.tfstate", ToolFailedError),
        ("Error: Plugin did not respond", ToolKilledError),
        ("Build 'amazon-ebs' errored after 9 seconds: unexpected EOF", ToolKilledError),
        ("tar: Unexpected EOF in archive", ToolFailedError),
        ("Error: Plugin did not respond\\nError: The terraform-provider-aws plugin crashed!", ToolFailedError),
    ],
    ids=[
        "not reached",
        "nothing sent",
        "throttled",
        "AWS failed",
        "instance did not start",
        "a program's own",
        "state not saved",
        "plugin killed",
        "Packer's plugin killed",
        "bad archive",
        "plugin panicked",
    ],
)
def test_the_output_of_a_failed_tool_decides_whether_it_may_be_tried_again(
    make_runner: Callable[..., Runner], output: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        make_runner(f'printf "{output}\\n"; exit 1').run("build")

    first = str(caught.value).splitlines()[0]
    not_reached = "send request failed" in output or "request send failed" in output
    assert ("did not reach AWS" in first) == not_reached
    assert ("AWS throttled it or failed itself" in first) == (error is CloudUnreachableError and not not_reached)


@pytest.mark.parametrize("script", ["echo half; kill -KILL $$", "echo half; exit 137"])
def test_a_killed_tool_is_no_failed_one_and_the_signal_is_named(
    make_runner: Callable[..., Runner], script: str
) -> None:
    """The kernel's SIGKILL for want of memory says nothing about the input, so another try may succeed."""
    with pytest.raises(ToolKilledError, match=r"(?s)Packer \(build\) was killed by SIGKILL.*memory.*half") as caught:
        make_runner(script).run("build")

    assert not caught.value.cleans_up


def test_a_tool_whose_guardian_is_killed_still_cleans_up(make_runner: Callable[..., Runner]) -> None:
    with pytest.raises(ToolKilledError) as caught:
        make_runner("kill -KILL $PPID; sleep 0.2").run("build")

    assert caught.value.cleans_up


def test_an_accepted_status_is_no_failure(make_runner: Callable[..., Runner]) -> None:
    assert make_runner("exit 2").run("plan", accept=(0, 2)).status == 2


def test_a_stopped_tool_is_reported_as_stopped_and_starts_no_further_command(
    tmp_path: Path, make_runner: Callable[..., Runner]
) -> None:
    holder: list[Runner] = []
    made = make_runner(
        "trap 'echo bye; exit 1' TERM; echo started; while :; do sleep 0.01; done",
        on_line=lambda _line: holder[0].stop(),
    )
    holder.append(made)

    with pytest.raises(ToolStoppedError, match="was stopped with its task"):
        made.run("build")
    with pytest.raises(ToolStoppedError, match="was not started"):
        made.run("build")
