"""The demo: deploy a service, then a new version of it under load, without losing a request."""

import json
import time
from collections import Counter
from pathlib import Path

import requests

from examples.webapp.build import build
from rebake.release.stage import Stage
from stack import follow, up
from stack.airflow import USER
from stack.console import detail, elapsed, step, table
from stack.errors import StackError
from stack.follow import RunOutcome
from stack.layout import Layout
from stack.load import Load, LoadResult
from stack.up import Stack

SERVICE = "webapp"
BASE = "debian-12"
VERSIONS = ("1.0.0", "1.1.0")
TAIL_SECONDS = 3


def run(layout: Layout, rate: float) -> bool:
    """Run the demo, print its results, and return whether every request was answered.

    Args:
        layout: The clone.
        rate: Requests a second during the second deployment.

    Raises:
        StackError: something does not start, or a run fails.
    """
    installed = elapsed()
    step(f"building the artifacts of {SERVICE} {' and '.join(VERSIONS)}")
    for version in VERSIONS:
        build(version, layout.project / "build")
    stack = up.up(layout)
    up_seconds = elapsed() - installed
    base = succeed(follow.run(stack.api, "rebuild_base_image", {"base": BASE}))
    first = succeed(follow.run(stack.api, f"deploy_{SERVICE}", {"version": VERSIONS[0]}))
    url = _result(stack, first, Stage.TERRAFORM_APPLY, "url").rstrip("/")
    _expect(url, VERSIONS[0])
    step(f"{url}/version answers {VERSIONS[0]}; from now on {rate:g} requests a second")
    load = Load(f"{url}/version", rate, report=layout.state / "demo" / "load.csv", label=version_of).start()
    try:
        second = succeed(follow.run(stack.api, f"deploy_{SERVICE}", {"version": VERSIONS[1]}, load.line))
        time.sleep(TAIL_SECONDS)
    finally:
        result = load.stop()
    _expect(url, VERSIONS[1])
    _report(stack, (base, first, second), result, url)
    _keep(layout.state / "demo" / "result.json", installed, up_seconds, (base, first, second), result)
    return result.failed == 0 and result.sent > 0


def version_of(answer: str) -> str:
    """Return the version in a response of the sample service."""
    return str(json.loads(answer)["version"])


def succeed(outcome: RunOutcome) -> RunOutcome:
    """Return the outcome of a run, which must have succeeded.

    Raises:
        StackError: it failed.
    """
    if outcome.state != "success":
        raise StackError(
            f"{outcome.dag_id} failed; its log is in Airflow's UI, and everything is still up: `make down`"
        )
    return outcome


def _result(stack: Stack, outcome: RunOutcome, stage: Stage, field: str) -> str:
    return str(stack.api.xcom(outcome.dag_id, outcome.run_id, stage)[field])


def _expect(url: str, version: str) -> None:
    """Send enough requests to reach every instance of the fleet."""
    answers = Counter(str(requests.get(f"{url}/version", timeout=10).json()["version"]) for _ in range(30))
    if set(answers) != {version}:
        raise StackError(f"{url}/version answers {dict(answers)}: expected {version} alone")


def _report(stack: Stack, outcomes: tuple[RunOutcome, RunOutcome, RunOutcome], result: LoadResult, url: str) -> None:
    base, first, second = outcomes
    names = list(dict.fromkeys([*first.stages, *second.stages]))
    columns = (base, first, second)
    rows: list[tuple[str, ...]] = [
        (name, *(f"{outcome.stages[name]:.1f}" if name in outcome.stages else "" for outcome in columns))
        for name in names
    ]
    rows.append(("whole run", *(f"{outcome.seconds:.1f}" for outcome in columns)))
    rows.append(("AMI", *(_result(stack, outcome, Stage.BAKE, "ami_id") for outcome in columns)))
    header = ("stage (seconds)", f"base {BASE}", *(f"{SERVICE} {version}" for version in VERSIONS))
    print(f"\n{table(header, rows)}\n")
    detail(f"instance refresh   {_result(stack, second, Stage.START_REFRESH, 'refresh_id')}")
    detail(
        f"requests sent      {result.sent} in {result.duration:.0f} s, answered by "
        + ", ".join(f"{version}: {count}" for version, count in sorted(result.answers.items()))
    )
    detail(f"requests failed    {result.failed} {dict(result.reasons) or ''}".rstrip())
    latencies = ", ".join(f"{percent} %: {result.percentile(percent) * 1000:.0f} ms" for percent in (50, 95, 99))
    detail(f"latency            {latencies}; each second in {stack.layout.state / 'demo' / 'load.csv'}")
    detail(f"the service        {url}/version  now {VERSIONS[1]}")
    detail(f"Airflow            {stack.settings.airflow_url}  user {USER}, password {stack.settings.admin_password}")
    detail("go on with         make status | make artifact | make deploy VERSION=... | make rollback | make down")
    step(f"the demo took {elapsed():.0f} s")


def _keep(
    path: Path,
    installed: float,
    up_seconds: float,
    outcomes: tuple[RunOutcome, RunOutcome, RunOutcome],
    result: LoadResult,
) -> None:
    """Write the figures for `make bench`."""
    figures = {
        "install_seconds": installed,
        "up_seconds": up_seconds,
        "seconds": elapsed(),
        "runs": [{"dag": outcome.dag_id, "seconds": outcome.seconds, "stages": outcome.stages} for outcome in outcomes],
        "requests": {
            "sent": result.sent,
            "failed": result.failed,
            **{f"p{percent}_ms": round(result.percentile(percent) * 1000, 1) for percent in (50, 95, 99, 100)},
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
