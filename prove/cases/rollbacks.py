"""Rollbacks by hand: after a deployment, and in the middle of one."""

from typing import Final

from prove.case import Case
from prove.cases.alarm import HALF_WAY
from prove.cases.good import check_success, ids
from prove.result import Check, Findings
from prove.scene import SERVICE, Run, Scene
from rebake.release.record import ReleaseOutcome


def check_superseded(scene: Scene, run: Run, by: Run) -> Check:
    """Return whether a deployment ended as superseded by another run, which is no failure."""
    record = scene.record(run)
    ended = (scene.state(run), record.outcome, record.superseded_by)
    return Check(
        "the deployment ends as superseded, not as failed",
        f"{ended[0]}, {ended[1]} at {record.stage} by {ended[2]}",
        ended == ("success", ReleaseOutcome.SUPERSEDED, f"{by.dag_id}/{by.run_id}"),
    )


def _after_success(scene: Scene) -> Findings:
    if not scene.service()["previous_release"]:
        scene.deploy(scene.new_version())
    before, previous = scene.channel("current"), scene.channel("previous")
    run = scene.trigger(f"rollback_{SERVICE}")
    outcome = scene.follow(run)
    checks, facts = check_success(scene, run)
    returned = scene.record(run).ami_id
    checks.append(
        Check(
            "the image of the release before serves",
            f"from {before} back to {returned}",
            returned == previous,
        )
    )
    return Findings(checks, {**facts, "rolled back in": f"{outcome.seconds:.0f} s, without a bake"})


def _mid_refresh(scene: Scene) -> Findings:
    before = scene.service()
    deployment = scene.trigger(f"deploy_{SERVICE}", version=scene.other_version())
    refresh_id = scene.wait_for_progress(deployment, HALF_WAY)
    rollback = scene.trigger(f"rollback_{SERVICE}")
    outcome = scene.follow(rollback)
    scene.follow(deployment)
    checks, facts = check_success(scene, rollback)
    refresh = scene.refresh(refresh_id)
    returned = scene.record(rollback).ami_id
    checks += [
        Check("the image before serves", f"{returned}", returned == before["current"]),
        check_superseded(scene, deployment, rollback),
        Check("AWS's own rollback is used", refresh["Status"], refresh["Status"] == "RollbackSuccessful"),
    ]
    deployment_ids = {f"deployment's {name}": value for name, value in ids(scene.record(deployment)).items()}
    return Findings(checks, {**facts, **deployment_ids, "rolled back in": f"{outcome.seconds:.0f} s, without a bake"})


CASES: Final = (
    Case(
        "rollback-after",
        "Rollback by hand, after a deployment",
        "The old version serves; 0 failed requests",
        _after_success,
    ),
    Case(
        "rollback-mid",
        "Rollback by hand, mid-refresh",
        "The old version serves; 0 failed requests; the deployment ends as superseded",
        _mid_refresh,
    ),
)
