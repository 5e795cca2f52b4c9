"""A run is printed task by task, with the error message of a stage that fails."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from stack import __main__ as command
from stack import follow
from stack.api import Api, Task, error_of
from stack.errors import InputError

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def _task(name: str, state: str, start: float | None = None, end: float | None = None, try_number: int = 1) -> Task:
    def at(seconds: float | None) -> dt.datetime | None:
        return None if seconds is None else T0 + dt.timedelta(seconds=seconds)

    return Task(name, state, try_number, at(start), at(end))


class _Airflow(Api):
    """Answers as Airflow would, from a list of what each request finds."""

    def __init__(self, *answers: tuple[str, list[Task]], log: list[dict[str, Any]] | None = None) -> None:
        self._answers: Iterator[tuple[str, list[Task]]] = iter(answers)
        self._now: tuple[str, list[Task]] = ("queued", [])
        self._log = log or []

    def run_state(self, dag_id: str, run_id: str) -> str:
        self._now = next(self._answers)
        return self._now[0]

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        return self._now[1]

    def log(self, dag_id: str, run_id: str, task: Task) -> list[dict[str, Any]]:
        return self._log


def _follow(airflow: _Airflow, note: str = "") -> follow.RunOutcome:
    return follow.Follower(airflow, "deploy_webapp", "run", lambda: note).follow(poll_seconds=0)


def test_each_change_of_a_task_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    running = ("running", [_task("bake", "running", 0), _task("promote_ami", "none")])
    outcome = _follow(_Airflow(("queued", []), running, running, ("success", [_task("bake", "success", 0, 7.5)])))
    lines = capsys.readouterr().out.splitlines()

    assert outcome.state == "success"
    assert [line.split("] ")[1].split()[:2] for line in lines] == [["bake", "running"], ["bake", "success"]]
    assert lines[1].endswith("success after 7.5 s")


def test_a_task_that_was_deferred_counts_from_its_first_start() -> None:
    outcome = _follow(
        _Airflow(
            ("running", [_task("wait", "running", 0)]),
            ("running", [_task("wait", "deferred", 0)]),
            ("running", [_task("wait", "running", 40)]),
            ("success", [_task("wait", "success", 40, 42)]),
        )
    )

    assert outcome.stages == {"wait": 42.0}


def test_a_failure_is_printed_with_the_message_of_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    log = [{"level": "error", "error_detail": [{"exc_type": "ImageError", "exc_value": "ami-1 is gone\nbake anew"}]}]
    outcome = _follow(_Airflow(("failed", [_task("bake", "failed", 0, 1)]), log=log))
    shown = capsys.readouterr().out

    assert outcome.state == "failed"
    assert "ImageError: ami-1 is gone" in shown
    assert "bake anew" in shown


def test_tasks_that_a_failure_kept_from_running_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    _follow(_Airflow(("failed", [_task("promote_ami", "upstream_failed")])))

    assert capsys.readouterr().out == ""


def test_a_second_try_is_printed_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    _follow(_Airflow(("success", [_task("bake", "success", 0, 1, try_number=2)])))

    assert "success (try 2)" in capsys.readouterr().out


def test_figures_of_a_load_stand_beside_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    _follow(_Airflow(("success", [_task("bake", "success", 0, 1)])), note="7 requests, 0 failed")

    assert capsys.readouterr().out.rstrip().endswith("| 7 requests, 0 failed")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], "(its log names no error)"),
        ([{"event": "hello", "level": "info"}], "(its log names no error)"),
        ([{"event": "first", "level": "error"}, {"event": "killed", "level": "critical"}], "killed"),
        (
            [
                {
                    "event": "x",
                    "error_detail": [{"exc_type": "A", "exc_value": "surfaced"}, {"exc_type": "B", "exc_value": ""}],
                },
                {"event": "later", "level": "error"},
            ],
            "A: surfaced",
        ),
    ],
)
def test_the_error_of_a_task_is_found_in_its_log(entries: list[dict[str, Any]], expected: str) -> None:
    assert error_of(entries) == expected


@pytest.mark.parametrize(
    ("service", "version", "named"),
    [
        ("webapp", "latest", "'latest'"),
        ("webapp", "", "make deploy VERSION=1.2.3"),
        ("nope", "1.0.0", "known services: pages, webapp"),
    ],
)
def test_what_no_run_could_deploy_is_refused_by_name(service: str, version: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        follow.check(service, version)


def test_a_component_without_a_log_is_refused_with_exit_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["logs", "flower"]) == 2
    assert "one of api-server" in capsys.readouterr().err
