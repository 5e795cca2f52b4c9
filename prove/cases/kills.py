"""Whatever is killed or cut in whichever stage: the deployment comes out as if nothing had been."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from prove import strikes
from prove.cable import Cable
from prove.case import Case
from prove.cases.good import check_success
from prove.result import Check, Findings, Table
from prove.scene import GROUP, SERVICE, Run, Scene
from prove.strikes import MOMENTS, Fault, Striker
from rebake import tags
from rebake.release import record as release
from stack.airflow import Airflow
from stack.leaks import leaks

MUST_HOLD: Final = (
    "Every stage is hit while a call of it is under way, and tried again; the run succeeds as if nothing had been: one "
    "image, one refresh, nothing left behind, 0 failed requests"
)
CLEARED_STAGE: Final = "bake"
"""Every try of it makes the call in which it is struck; those that adopt what the try before did make it once."""
TRIES: Final = 3
"""Of a stage, with its retries."""


def _every_stage(scene: Scene, fault_of: Callable[[Airflow], Fault]) -> Findings:
    run = scene.trigger(f"deploy_{SERVICE}", version=scene.new_version())
    striker = Striker(scene.stack, fault_of(scene.stack.airflow))
    striker.follow(run.dag_id, run.run_id, partial(scene.note, "fault"))
    checks, facts = check_success(scene, run)
    struck = [stage for stage, times in striker.struck.items() if times]
    hit = Check("every stage is hit", f"{len(struck)} of {len(MOMENTS)}", len(struck) == len(MOMENTS))
    return Findings([hit, *checks, *_check_traces(scene, run)], facts, table=_table(scene, run, striker))


def _connection(scene: Scene) -> Findings:
    with Cable(scene.stack.settings.cloud_port) as cable, _leads_through(scene.stack.airflow, cable):
        return _every_stage(scene, lambda _: strikes.connection(cable))


@contextlib.contextmanager
def _leads_through(airflow: Airflow, cable: Cable) -> Iterator[None]:
    """Let the pipeline reach the embedded cloud through the cable, and directly again afterwards."""
    for one in (Airflow(airflow.layout, replace(airflow.settings, cloud_port=cable.port)), airflow):
        for process in airflow.processes.values():
            process.kill()
        one.start()
        one.wait()
        if one is not airflow:
            yield


def _cleared(scene: Scene) -> Findings:
    run = scene.trigger(f"deploy_{SERVICE}", version=scene.new_version())
    moments = [moment for moment in MOMENTS if moment.stage == CLEARED_STAGE]
    striker = Striker(scene.stack, strikes.worker(), moments, times=TRIES)
    given_up = striker.follow(run.dag_id, run.run_id, partial(scene.note, "fault"))
    first = scene.record(run)
    scene.note("run", f"{CLEARED_STAGE} cleared")
    scene.stack.api.clear(run.dag_id, run.run_id, CLEARED_STAGE)
    scene.follow(run)
    checks, facts = check_success(scene, run)
    told = f"{given_up}, {first['outcome']} at {first['stage']} after {len(striker.struck[CLEARED_STAGE])} kills"
    failed = (given_up, first["outcome"], first["stage"]) == ("failed", release.FAILED, CLEARED_STAGE)
    return Findings(
        [
            Check("without retries left the run fails", told, failed),
            *checks,
            *_check_traces(scene, run),
        ],
        facts,
        table=_table(scene, run, striker),
    )


def _check_traces(scene: Scene, run: Run) -> list[Check]:
    """Return whether a run that has ended did everything once, and left nothing."""
    images = scene.stack.cloud.client("ec2").describe_images(Owners=["self"])["Images"]
    same = Counter(tags.read(one).get(tags.FINGERPRINT) for one in images)[scene.record(run)["fingerprint"]]
    client = scene.stack.cloud.client("autoscaling")
    found = client.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"]
    ends = [one["Status"] for one in reversed(found) if one["StartTime"].timestamp() >= run.asked]
    left = leaks(scene.stack)
    return [
        Check("one image of the fingerprint", f"{same}", same == 1),
        Check("no refresh is skipped or doubled", ", ".join(ends) or "none", ends == ["Successful"]),
        Check("nothing is left behind", "; ".join(left) or "0 leaks", not left),
    ]


def _table(scene: Scene, run: Run, striker: Striker) -> Table:
    calls = {moment.stage: moment.action for moment in MOMENTS}
    rows = [
        (
            task.name,
            calls[task.name],
            ", ".join(f"{at:.0f} s" for at in striker.struck[task.name]) or "never",
            f"{task.try_number}",
            task.state,
        )
        for task in scene.stack.api.tasks(run.dag_id, run.run_id)
        if task.name in striker.struck
    ]
    return Table(("stage", "call under way", "struck at", "tries", "final state"), rows)


def _case(name: str, title: str, run: Callable[[Scene], Findings]) -> Case:
    return Case(f"kills-{name}", f"{title} in every stage", MUST_HOLD, run)


CASES: Final = (
    _case("worker", "Worker killed", partial(_every_stage, fault_of=lambda _: strikes.worker())),
    _case("triggerer", "Triggerer killed", partial(_every_stage, fault_of=strikes.triggerer)),
    _case("scheduler", "Scheduler killed", partial(_every_stage, fault_of=strikes.scheduler)),
    _case("connection", "Connection to the cloud cut for 10 s", _connection),
    Case(
        "kills-cleared",
        "Stage killed until no retry is left, then cleared",
        "The run fails; cleared, as in the UI, it ends like one that was never disturbed",
        _cleared,
    ),
)
