"""Two runs that change the same service at once."""

from typing import Final

from prove.case import Case
from prove.cases.good import check_success, ids
from prove.cases.rollbacks import check_superseded
from prove.result import Check, Findings
from prove.scene import SERVICE, Scene
from rebake.release.stage import Stage


def _two_at_once(scene: Scene) -> Findings:
    second_version, first_version = scene.running_version(), scene.other_version()
    first, second = (scene.trigger(f"deploy_{SERVICE}", version=version) for version in (first_version, second_version))
    scene.follow(first)
    scene.follow(second)
    ended, began = (scene.refresh(scene.refresh_id(run)) for run in (first, second))
    checks, facts = check_success(scene, second)
    record = scene.record(first)
    first_ids = {f"first run's {name}": value for name, value in ids(record).items()}
    checks += [
        Check("the first run succeeds too", record.outcome, record.is_successful),
        Check(
            "one after the other",
            f"the second refresh starts {(began['StartTime'] - ended['EndTime']).total_seconds():.0f} s after the "
            "first has ended",
            began["StartTime"] >= ended["EndTime"],
        ),
        Check(
            "the last word counts",
            f"every instance runs {second_version}",
            scene.running_version() == second_version,
        ),
    ]
    return Findings(checks, {**facts, **first_ids})


def _rollback_during(scene: Scene) -> Findings:
    before = scene.service()
    deployment = scene.trigger(f"deploy_{SERVICE}", version=scene.other_version())
    scene.wait_for_task(deployment, Stage.TERRAFORM_APPLY)
    rollback = scene.trigger(f"rollback_{SERVICE}")
    scene.follow(rollback)
    scene.follow(deployment)
    checks, facts = check_success(scene, rollback)
    record, after = scene.record(deployment), scene.service()
    checks += [
        check_superseded(scene, deployment, rollback),
        Check("no instance ever runs the new image", ids(record)["refresh"], record.refresh is None),
        Check("`current` is unchanged", str(after["current"]), after["current"] == before["current"]),
        Check("nobody holds the lease any more", after["lease"] or "released", not after["lease"]),
    ]
    deployment_ids = {f"deployment's {name}": value for name, value in ids(record).items()}
    return Findings(checks, {**facts, **deployment_ids})


CASES: Final = (
    Case(
        "two-at-once",
        "Two deployments triggered at once",
        "One after the other, both succeed, the last one's version serves",
        _two_at_once,
    ),
    Case(
        "rollback-during",
        "A rollback while a deployment applies Terraform",
        "The deployment is superseded; the final state is consistent",
        _rollback_during,
    ),
)
