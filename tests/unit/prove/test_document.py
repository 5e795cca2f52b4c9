"""The document says what was measured, and hides no red row."""

from pathlib import Path
from typing import Any

from prove.case import Case
from prove.cases import CASES
from prove.document import GREEN, NOT_RUN, RED, render
from prove.result import LOSS_CHECK, CaseResult, Check, Findings, Moment, Span, Table

LOAD = {
    "sent": 12000,
    "failed": 0,
    "reasons": {},
    "answers": {"1.0.0": 5000, "1.1.0": 7000},
    "seconds": 60.0,
    "rate": 200.0,
    "p50_ms": 2.4,
    "p99_ms": 31.0,
    "p100_ms": 80.0,
    "late_p99_ms": 4.0,
    "late_p100_ms": 9.0,
}


def _case(name: str = "alarm") -> Case:
    return Case(name, f"The case {name}", "it rolls back", lambda _: Findings([]))


def _result(name: str = "alarm", *checks: Check, **changed: Any) -> CaseResult:
    findings = Findings(
        checks or [Check("rolled back", "in 31 s", ok=True)],
        {"refresh": "0123-4567 RollbackSuccessful"},
        {"calls": 7},
        Table(("stage", "kill"), [("bake", "same | end")]),
    )
    kept: dict[str, Any] = {
        "name": name,
        "at": "2026-01-02T03:04:05+00:00",
        "commit": "abc1234",
        "machine": "2 cores, 8 GiB",
        "seconds": 66.0,
        "load": LOAD,
        "findings": findings,
        "moments": [Moment(1.0, "run", "deploy requested")],
        "spans": [Span("deploy", "bake", 1.0, 9.0)],
    }
    return CaseResult(**(kept | changed))


def test_a_row_shows_what_was_promised_measured_and_lost() -> None:
    text = render([_case()], {"alarm": _result()})

    assert (
        f"| {GREEN} | [The case alarm](#alarm) | it rolls back | rolled back: in 31 s | 12000 | 0 | 2 / 31 | 66 |"
        in text
    )
    assert "**1 of 1 cases are green**" in text


def test_one_check_that_failed_makes_the_row_red_and_is_what_the_row_shows() -> None:
    checks = (Check("rolled back", "in 31 s", ok=True), Check(LOSS_CHECK, "3 of 12000", ok=False))
    text = render([_case()], {"alarm": _result("alarm", *checks)})

    assert f"| {RED} | [The case alarm](#alarm) | it rolls back | {LOSS_CHECK}: 3 of 12000 |" in text
    assert "**0 of 1 cases are green**" in text


def test_a_case_that_did_not_run_is_shown_and_is_not_green() -> None:
    text = render([_case(), _case("good")], {"alarm": _result()})

    assert f"| {NOT_RUN} | The case good |" in text
    assert "**1 of 2 cases are green**" in text


def test_the_head_names_every_commit_and_machine_that_a_row_was_measured_on() -> None:
    results = {"alarm": _result(), "good": _result("good", commit="fff0000")}
    text = render([_case(), _case("good")], results)

    assert "Commit: abc1234; fff0000." in text
    assert "Machine: 2 cores, 8 GiB." in text


def test_a_section_has_the_ids_the_files_and_the_further_table() -> None:
    text = render([_case()], {"alarm": _result()})

    assert "* Refresh: 0123-4567 RollbackSuccessful" in text
    assert "![Timeline of The case alarm](proof/alarm.png)" in text
    assert "(proof/alarm.csv)" in text
    assert "| bake | same \\| end |" in text


def test_a_result_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    result = _result()
    result.save(tmp_path)
    kept = CaseResult.load_from(tmp_path, "alarm")

    assert kept is not None
    assert kept.green
    assert render([_case()], {"alarm": kept}) == render([_case()], {"alarm": result})
    assert kept.moments == result.moments
    assert kept.spans == result.spans


def test_nothing_is_known_of_a_case_that_never_ran(tmp_path: Path) -> None:
    assert CaseResult.load_from(tmp_path, "alarm") is None


def test_the_names_of_the_cases_are_unique_and_good_for_files() -> None:
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() and name.islower() for name in names)
