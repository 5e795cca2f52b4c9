"""A deployment survives any process killed, or connection cut, in any stage."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from prove import injection
from prove.case import Case
from prove.cases.good import check_success
from prove.injection import POINTS, Fault, Injector
from prove.result import Check, Findings, Table
from prove.scene import GROUP, SERVICE, Run, Scene
from prove.tcp_proxy import TcpProxy
from rebake import tags
from rebake.release.record import ReleaseOutcome
from rebake.release.stage import Stage
from stack.airflow import Airflow
from stack.leaks import leaks

MUST_HOLD: Final = (
    "Every stage is hit while a call of it is under way, and tried again; the run succeeds as if nothing had been: one "
    "image, one refresh, nothing left behind, 0 failed requests"
)
CLEARED_STAGE: Final = Stage.BAKE
"""Every try of this stage makes the call of its injection point; stages that adopt an earlier try's work do not."""
TRIES: Final = 3
"""Tries of a stage, retries included."""


def _every_stage(scene: Scene, fault_of: Callable[[Airflow], Fault]) -> Findings:
    run = scene.trigger(f"deploy_{SERVICE}", version=scene.new_version())
    injector = Injector(scene.stack, fault_of(scene.stack.airflow))
    injector.follow(run.dag_id, run.run_id, partial(scene.note, "fault"))
    checks, facts = check_success(scene, run)
    reached = [stage for stage, times in injector.hits.items() if times]
    hit = Check("every stage is hit", f"{len(reached)} of {len(POINTS)}", len(reached) == len(POINTS))
    return Findings([hit, *checks, *_check_traces(scene, run)], facts, table=_table(scene, run, injector))


def _connection(scene: Scene) -> Findings:
    with TcpProxy(scene.stack.settings.cloud_port) as proxy, _through(scene.stack.airflow, proxy):
        return _every_stage(scene, lambda _: injection.connection(proxy))


@contextlib.contextmanager
def _through(airflow: Airflow, proxy: TcpProxy) -> Iterator[None]:
    """Route the pipeline to the embedded cloud through the proxy, and directly again afterwards."""
    for one in (Airflow(airflow.layout, replace(airflow.settings, cloud_port=proxy.port)), airflow):
        for process in airflow.processes.values():
            process.kill()
        one.start()
        one.wait()
        if one is not airflow:
            yield


def _cleared(scene: Scene) -> Findings:
    run = scene.trigger(f"deploy_{SERVICE}", version=scene.new_version())
    points = [point for point in POINTS if point.stage == CLEARED_STAGE]
    injector = Injector(scene.stack, injection.worker(), points, times=TRIES)
    given_up = injector.follow(run.dag_id, run.run_id, partial(scene.note, "fault"))
    first = scene.record(run)
    scene.note("run", f"{CLEARED_STAGE} cleared")
    scene.stack.api.clear(run.dag_id, run.run_id, CLEARED_STAGE)
    scene.follow(run)
    checks, facts = check_success(scene, run)
    measured = f"{given_up}, {first.outcome} at {first.stage} after {len(injector.hits[CLEARED_STAGE])} kills"
    failed = (given_up, first.outcome, first.stage) == ("failed", ReleaseOutcome.FAILED, CLEARED_STAGE)
    return Findings(
        [
            Check("without retries left the run fails", measured, failed),
            *checks,
            *_check_traces(scene, run),
        ],
        facts,
        table=_table(scene, run, injector),
    )


def _check_traces(scene: Scene, run: Run) -> list[Check]:
    """Return the checks that a finished run did everything once and left no orphans."""
    images = scene.stack.cloud.client("ec2").describe_images(Owners=["self"])["Images"]
    same = Counter(tags.read(one).get(tags.FINGERPRINT) for one in images)[scene.record(run).fingerprint]
    client = scene.stack.cloud.client("autoscaling")
    found = client.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"]
    ends = [one["Status"] for one in reversed(found) if one["StartTime"].timestamp() >= run.requested_at]
    left = leaks(scene.stack)
    return [
        Check("one image of the fingerprint", f"{same}", same == 1),
        Check("no refresh is skipped or doubled", ", ".join(ends) or "none", ends == ["Successful"]),
        Check("nothing is left behind", "; ".join(left) or "0 leaks", not left),
    ]


def _table(scene: Scene, run: Run, injector: Injector) -> Table:
    calls = {point.stage: point.action for point in POINTS}
    rows = [
        (
            task.name,
            calls[task.name],
            ", ".join(f"{at:.0f} s" for at in injector.hits[task.name]) or "never",
            f"{task.try_number}",
            task.state,
        )
        for task in scene.stack.api.tasks(run.dag_id, run.run_id)
        if task.name in injector.hits
    ]
    return Table(("stage", "call under way", "hit at", "tries", "final state"), rows)


def _case(name: str, title: str, run: Callable[[Scene], Findings]) -> Case:
    return Case(f"kills-{name}", f"{title} in every stage", MUST_HOLD, run)


CASES: Final = (
    _case("worker", "Worker killed", partial(_every_stage, fault_of=lambda _: injection.worker())),
    _case("triggerer", "Triggerer killed", partial(_every_stage, fault_of=injection.triggerer)),
    _case("scheduler", "Scheduler killed", partial(_every_stage, fault_of=injection.scheduler)),
    _case("connection", "Connection to the cloud cut for 10 s", _connection),
    Case(
        "kills-cleared",
        "Stage killed until no retry is left, then cleared",
        "The run fails; cleared, as in the UI, it ends like one that was never disturbed",
        _cleared,
    ),
)
