"""What a watcher saw becomes moments and spans, and a picture is drawn of them."""

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from prove.measure import checks_of, figures_of, stages_of
from prove.result import CaseResult, Findings, Moment, Span
from prove.scene import Run
from prove.timeline import draw, lanes_of, merge, read
from prove.watch import Observation, Refresh, lives_of, moments_of, spans_of, state_of
from stack.api import Task
from stack.load import COLUMNS, LoadResult

OLD, NEW = "i-0000000000000000a", "i-0000000000000000b"


def _observe(at: float, instances: dict[str, str], *refreshes: Refresh) -> Observation:
    return Observation(at, instances, refreshes)


def _rolled(status: str, percentage: int) -> Refresh:
    return Refresh("01234567-89ab", status, percentage)


EARLIER = Refresh("ffffffff-0000", "Successful", 100)


def test_a_refresh_has_a_moment_when_it_starts_steps_forward_and_changes_its_status() -> None:
    observations = [
        _observe(100, {}, EARLIER),
        _observe(101, {}, _rolled("Pending", 0), EARLIER),
        _observe(102, {}, _rolled("InProgress", 0), EARLIER),
        _observe(103, {}, _rolled("InProgress", 33), EARLIER),
        _observe(104, {}, _rolled("InProgress", 33), EARLIER),
        _observe(105, {}, _rolled("RollbackInProgress", 33), EARLIER),
    ]

    assert moments_of(observations, 100) == [
        Moment(1, "refresh", "refresh 01234567 Pending"),
        Moment(2, "refresh", "refresh InProgress"),
        Moment(3, "step", "33 %"),
        Moment(5, "back", "refresh RollbackInProgress at 33 %"),
    ]


def test_an_instance_is_in_one_state_after_the_other_until_it_is_gone() -> None:
    observations = [
        _observe(100, {OLD: "healthy"}),
        _observe(101, {OLD: "healthy", NEW: "booting"}),
        _observe(102, {OLD: "leaving", NEW: "healthy"}),
        _observe(103, {NEW: "healthy"}),
    ]

    assert spans_of(observations, {OLD: "1.0.0", NEW: "1.1.0"}, 100) == [
        Span("1.0.0 i-00000000", "healthy", 0, 2),
        Span("1.1.0 i-00000000", "booting", 1, 2),
        Span("1.0.0 i-00000000", "leaving", 2, 3),
        Span("1.1.0 i-00000000", "healthy", 2, 3),
    ]


def test_without_observations_there_are_no_moments_and_spans() -> None:
    assert moments_of([], 0) == []
    assert spans_of([], {}, 0) == []


@pytest.mark.parametrize(
    ("lifecycle", "targets", "state"),
    [
        ("Pending", {}, "booting"),
        ("InService", {"i-1": "initial"}, "booting"),
        ("InService", {"i-1": "healthy"}, "healthy"),
        ("InService", {"i-1": "unhealthy"}, "unhealthy"),
        ("InService", {"i-1": "draining"}, "leaving"),
        ("Terminating:Wait", {"i-1": "healthy"}, "leaving"),
    ],
)
def test_an_instance_is_what_the_group_and_the_load_balancer_say(
    lifecycle: str, targets: dict[str, str], state: str
) -> None:
    assert state_of({"InstanceId": "i-1", "LifecycleState": lifecycle}, targets) == state


def test_a_stage_lasts_from_the_end_of_the_one_before() -> None:
    def task(name: str, start: float, end: float | None) -> Task:
        stamps = [dt.datetime.fromtimestamp(at, dt.UTC) if at else None for at in (start, end)]
        return Task(name, "success", 1, *stamps)

    run = Run("deploy_webapp", "manual", 1000.0, {"version": "1.1.0"})
    tasks = [task("test_image.probe", 1012, 1020), task("bake", 1002, 1010), task("finalize", 1025, None)]

    assert stages_of(run, tasks, 990) == [Span("deploy 1.1.0", "bake", 10, 20), Span("deploy 1.1.0", "probe", 20, 30)]


def test_quiet_moments_that_are_close_are_put_together_and_others_are_not() -> None:
    moments = [
        Moment(1.0, "step", "33 %"),
        Moment(1.2, "instance", "i-1 leaves"),
        Moment(1.3, "fault", "alarm"),
        Moment(1.4, "end", "refresh Successful"),
    ]

    assert merge(moments, 0.5) == [Moment(1.0, "step", "33 %, i-1 leaves"), *moments[2:]]


def test_an_instance_has_a_moment_for_each_later_state_but_not_for_the_first() -> None:
    spans = [
        Span("1.0.0 i-000000aa", "healthy", 0, 9),
        Span("1.0.0 i-000000aa", "leaving", 9, 10),
        Span("1.1.0 i-000000bb", "booting", 3, 5),
        Span("1.1.0 i-000000bb", "healthy", 5, 9),
    ]

    assert lives_of(spans) == [Moment(9, "instance", "i-0000 leaves"), Moment(5, "instance", "i-0000 healthy")]


def test_the_stages_of_runs_come_above_the_instances() -> None:
    spans = [Span("1.0.0 i-1", "healthy", 0, 9), Span("deploy 1.1.0", "bake", 1, 2), Span("1.1.0 i-2", "booting", 2, 3)]

    assert lanes_of(spans) == ["deploy 1.1.0", "1.0.0 i-1", "1.1.0 i-2"]


def _came(**changed: Any) -> LoadResult:
    return LoadResult(**({"sent": 2000, "duration": 10.0, "latencies": [0.002], "lateness": [0.001]} | changed))


def test_a_load_that_lost_nothing_at_its_rate_is_well() -> None:
    assert [check.ok for check in checks_of(_came(), 200, lossless=True)] == [True, True]


def test_one_lost_request_is_one_too_many_unless_losses_are_expected() -> None:
    assert [check.ok for check in checks_of(_came(failed=1), 200, lossless=True)] == [True, False]
    assert [check.ok for check in checks_of(_came(failed=1), 200, lossless=False)] == [True]


def test_a_load_below_its_rate_proves_nothing() -> None:
    assert not checks_of(_came(sent=1000), 200, lossless=True)[0].ok


def test_a_load_that_was_late_itself_says_so() -> None:
    (rate, _) = checks_of(_came(lateness=[0.4]), 200, lossless=True)

    assert "sent up to 400.0 ms late" in rate.measured
    assert figures_of(_came(lateness=[0.4]))["late_p99_ms"] == 400


def test_a_picture_is_drawn_of_a_result(tmp_path: Path) -> None:
    with (tmp_path / "case.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([second, 200, 199, 1, 2.0, 8.0, 20.0, 40.0, 1.5, "1.0.0=99 1.1.0=100"] for second in range(9))
    spans = [Span("deploy 1.1.0", "bake", 0, 4), Span("1.0.0 i-1", "healthy", 0, 8)]
    moments = [Moment(1.0, "run", "requested"), Moment(4.0, "refresh", "started"), Moment(6.0, "end", "Successful")]
    result = CaseResult("case", "", "", "", 9.0, figures_of(_came()), Findings([]), moments, spans)
    draw(result, "A case", tmp_path / "case.csv", tmp_path / "case.png")

    assert len(read(tmp_path / "case.csv")) == 8
    assert (tmp_path / "case.png").read_bytes().startswith(b"\x89PNG")
