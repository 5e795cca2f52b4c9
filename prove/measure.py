"""Runs one case: puts the fleet under load, watches it, and stores the result."""

import datetime as dt
import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prove.case import Case
from prove.result import LOSS_CHECK, RATE_CHECK, CaseResult, Check, Findings, Moment, Span
from prove.scene import GROUP, Run, Scene
from prove.watch import Watcher, lives_of, moments_of, spans_of
from stack.api import Task
from stack.console import step
from stack.demo import version_of
from stack.load import Load, LoadResult, percentile

LEAD = 3.0
"""Seconds of load before a case acts, and after it has."""
LATE_MS = 50
"""A load whose 99th percentile of lateness exceeds this many milliseconds was not an open load."""
_TURNS = {"RollbackInstanceRefresh": "rollback requested", "CancelInstanceRefresh": "cancellation requested"}


def run(case: Case, scene: Scene, figures: Path) -> CaseResult:
    """Run a case, write `<name>.csv` into `figures`, and return the result.

    Args:
        case: To run.
        scene: Of this case alone.
        figures: The folder for what the document shows.
    """
    step(f"{case.name}: {case.title}")
    scene.settle()
    at = dt.datetime.now(dt.UTC)
    url = f"{scene.service()['url']}version"
    load = Load(url, scene.rate, report=figures / f"{case.name}.csv", label=version_of).start()
    scene.load = load
    watcher = Watcher(scene.stack.cloud, GROUP)
    watcher.start()
    time.sleep(LEAD)
    try:
        findings = case.run(scene)
    except Exception as error:  # noqa: BLE001 -- whatever a case dies of is what the row says.
        findings = Findings([Check("the case ran to its end", f"{type(error).__name__}: {error}", ok=False)])
    finally:
        scene.clear_faults()
    time.sleep(LEAD)
    watcher.stop()
    came = load.stop()
    moments, spans = _timeline(scene, watcher, load.began)
    return CaseResult(
        name=case.name,
        at=at.isoformat(timespec="seconds"),
        commit=_commit(scene.stack.layout.project),
        machine=_machine(),
        seconds=round(time.time() - at.timestamp(), 1),
        load=figures_of(came),
        findings=Findings(
            [*checks_of(came, scene.rate, lossless=case.lossless), *findings.checks],
            findings.facts,
            findings.figures,
            findings.table,
        ),
        moments=moments,
        spans=spans,
    )


def figures_of(came: LoadResult) -> dict[str, Any]:
    """Return a load's figures as plain data; latencies and lateness in milliseconds."""
    return {
        "sent": came.sent,
        "failed": came.failed,
        "reasons": dict(came.reasons),
        "answers": dict(came.answers),
        "seconds": round(came.duration, 1),
        "rate": round(came.sent / came.duration, 1) if came.duration else 0.0,
        **{f"p{percent}_ms": round(came.percentile(percent) * 1000, 1) for percent in (50, 99, 100)},
        **{f"late_p{percent}_ms": round(percentile(came.lateness, percent) * 1000, 1) for percent in (99, 100)},
    }


def checks_of(came: LoadResult, wanted: float, *, lossless: bool) -> list[Check]:
    """Return what must hold of every load: its rate in requests a second, and that nothing was lost."""
    found = figures_of(came)
    # The last request is due one interval before the end, and what is under way then is waited for.
    due = wanted * (came.duration - LEAD)
    late = f", sent up to {found['late_p99_ms']} ms late (99 %)" if found["late_p99_ms"] > LATE_MS else ""
    rate = Check(RATE_CHECK, f"{found['rate']:.1f} requests a second{late}", came.sent >= due)
    if not lossless:
        return [rate]
    reasons = "; ".join(f"{count} x {reason}" for reason, count in came.reasons.most_common(3))
    measured = f"{came.failed} of {came.sent}" + (f" ({reasons})" if reasons else "")
    return [rate, Check(LOSS_CHECK, measured, came.sent > 0 and came.failed == 0)]


def _timeline(scene: Scene, watcher: Watcher, began: float) -> tuple[list[Moment], list[Span]]:
    moments = [Moment(round(at - began, 1), kind, text) for at, kind, text in scene.notes]
    moments += moments_of(watcher.observations, began)
    spans = spans_of(watcher.observations, watcher.versions, began)
    moments += lives_of(spans)
    for run in scene.runs:
        name = run.dag_id.partition("_")[0]
        moments.append(Moment(round(run.requested_at - began, 1), "run", f"{name} {_conf(run)}requested".strip()))
        spans += stages_of(run, scene.stack.api.tasks(run.dag_id, run.run_id), began)
        ends = [span.end for span in spans if span.lane == _lane(run)]
        if ends:
            moments.append(Moment(max(ends), "run", f"{name} {_conf(run)}ended: {scene.state(run)}"))
    for entry in scene.calls(began, time.time()):
        if entry["action"] in _TURNS and entry["status"] == 200:
            moments.append(Moment(round(entry["time"] - began, 1), "back", _TURNS[entry["action"]]))
    return sorted(moments, key=lambda moment: moment.at), spans


def stages_of(run: Run, tasks: Sequence[Task], began: float) -> list[Span]:
    """Return the stages of a run, each from the end of the one before: a deferred task forgets when it started."""
    spans: list[Span] = []
    since = run.requested_at - began
    ends = sorted((task.end.timestamp() - began, task.name) for task in tasks if task.end and task.start)
    for end, name in ends:
        if end > since:
            spans.append(Span(_lane(run), name.rpartition(".")[2], round(since, 1), round(end, 1)))
            since = end
    return spans


def _lane(run: Run) -> str:
    return f"{run.dag_id.partition('_')[0]} {_conf(run)}".strip()


def _conf(run: Run) -> str:
    target = run.conf.get("version") or run.conf.get("release") or ""
    return f"{target} " if target else ""


def _commit(project: Path) -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/proof*")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def _machine() -> str:
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    model = re.search(r"model name\s*: (.+)", info)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = f" ({model[1]})" if model else ""
    return f"{os.cpu_count()} cores{processor}, {memory:.0f} GiB, {platform.system()} {platform.machine()}"
