import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rebake.tools import process
from rebake.tools.process import Program

Run = Callable[..., process.ProcessResult]


class Lines(list[str]):
    """A log that remembers its lines."""

    def info(self, message: str, /, *args: Any) -> None:
        self.append(message % args)


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
def run(tmp_path: Path, log: Lines) -> Run:
    def start(*command: str, **options: Any) -> process.ProcessResult:
        return _program(tmp_path, log, *command, **options).run()

    return start


def _program(folder: Path, log: Lines, *command: str, **options: Any) -> Program:
    chosen = {"environment": {"PATH": os.environ["PATH"]}, "grace": 10.0} | options
    return Program(command, folder=folder, log=log, **chosen)


def _stop_at_first_line(folder: Path, log: Lines, script: str, **options: Any) -> process.ProcessResult:
    program: Program

    def stop(_line: str) -> None:
        program.stop()

    program = _program(folder, log, "sh", "-c", script, on_line=stop, **options)
    return program.run()


def test_each_line_of_both_outputs_goes_to_the_log_in_order(run: Run, log: Lines) -> None:
    result = run("sh", "-c", "echo one; echo two >&2; printf three")

    assert log == ["one", "two", "three"]
    assert result == process.ProcessResult(status=0, output="one\ntwo\nthree", stopped=False)


def test_only_the_last_lines_are_kept_for_the_error(run: Run) -> None:
    assert run("sh", "-c", "seq 1 100", keep=3).output == "98\n99\n100"


def test_the_program_sees_the_given_environment_and_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_SECRET_OF_THE_WORKER", "x")

    result = run("env", environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})

    assert sorted(result.output.splitlines()) == ["LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"]


def test_the_working_directory_is_the_folder_and_no_output_file_stays_in_it(run: Run, tmp_path: Path) -> None:
    assert run("pwd").output == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_stop_sends_one_sigterm_and_waits_until_the_program_has_cleaned_up(tmp_path: Path, log: Lines) -> None:
    result = _stop_at_first_line(
        tmp_path, log, "trap 'echo cleaned up; exit 1' TERM; echo started; while :; do sleep 0.01; done"
    )

    assert log == ["started", "cleaned up"]
    assert result.stopped
    assert result.status == 1


def test_a_second_stop_does_not_signal_again_because_terraform_would_drop_everything(
    tmp_path: Path, log: Lines
) -> None:
    script = """
        trap 'echo signal' TERM
        echo started
        for step in 1 2 3 4 5 6 7 8; do sleep 0.05; done
        echo finished
    """
    result = _stop_at_first_line(tmp_path, log, textwrap.dedent(script))

    assert log == ["started", "signal", "finished"]
    assert result.stopped


def test_a_program_that_ignores_the_signal_is_killed_with_its_children_after_the_grace_period(
    tmp_path: Path, log: Lines
) -> None:
    script = "trap '' TERM; sleep 60 & echo $!; wait"

    result = _stop_at_first_line(tmp_path, log, script, grace=0.2)

    assert result.status == 128 + signal.SIGKILL
    assert not _alive(int(log[0]))


def test_children_that_a_program_leaves_behind_end_with_it(run: Run, log: Lines) -> None:
    run("sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")

    assert not _alive(int(log[0]))


def test_an_exception_in_the_task_stops_the_program_before_it_goes_on(tmp_path: Path, log: Lines) -> None:
    def fail(line: str) -> None:
        if line == "started":
            raise TimeoutError("the task's time is over")

    program = _program(
        tmp_path,
        log,
        "sh",
        "-c",
        "trap 'touch cleaned-up; exit' TERM; echo started; while :; do sleep 0.01; done",
        on_line=fail,
    )
    with pytest.raises(TimeoutError, match="time is over"):
        program.run()

    assert (tmp_path / "cleaned-up").exists()


def test_a_stop_before_the_start_ends_the_program_at_once(tmp_path: Path, log: Lines) -> None:
    program = _program(tmp_path, log, "sleep", "60")
    program.stop()

    assert program.run().stopped


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


@pytest.mark.parametrize(
    ("script", "secret", "lines"),
    [
        pytest.param("echo key=wJalrXUtnFEMI!", "wJalrXUtnFEMI", ["key=***!"], id="a secret is masked"),
        pytest.param("echo self-test", "test", ["self-test"], id="a short one would black out ordinary words"),
        pytest.param(r"printf '\033[1;31mred\033[0m\r\n10%%\r20%%\n'", "", ["red", "20%"], id="colours, redrawn lines"),
        pytest.param(r"printf 'a\377b\n'", "", ["a\ufffdb"], id="bytes that are no text"),
    ],
)
def test_output_arrives_as_plain_text_without_secrets(
    run: Run, log: Lines, script: str, secret: str, lines: list[str]
) -> None:
    result = run("sh", "-c", script, secrets=[secret])

    assert log == lines
    assert result.output.splitlines() == lines


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)])
def test_the_exit_status_is_the_programs_own_or_what_a_shell_would_show(run: Run, script: str, status: int) -> None:
    assert run("sh", "-c", script).status == status
