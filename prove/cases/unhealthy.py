"""Bad applications: caught before promotion, never healthy, or healthy only for a while."""

from collections.abc import Mapping
from typing import Any, Final

from prove.case import Case
from prove.cases.good import ids
from prove.result import Check, Findings
from prove.scene import SERVICE, SIZE, Run, Scene
from rebake import config
from rebake.release.record import ReleaseOutcome
from rebake.rollout.refresh import Reason
from stack.settings import ENVIRONMENT

PROBE_FAILED: Final = "probe_failed"
WITHOUT_PROBE: Final = {"http": [{"path": "/version"}], "commands": []}
"""Checks that a broken application passes: `/version` answers whatever its health is."""
ILL: Final = (Reason.UNHEALTHY, Reason.ROLLED_BACK)
"""The reasons of an unhealthy instance: found by the pipeline, or by AWS during the bake time."""


def check_rolled_back(
    scene: Scene, run: Run, before: Mapping[str, Any], *reasons: str
) -> tuple[list[Check], dict[str, str]]:
    """Return what must hold after a deployment that was rolled back, and its ids.

    Args:
        scene: The case's.
        run: Of the deployment; it has ended.
        before: What `make status` reported for the service before it.
        reasons: The codes of which it must fail with one.
    """
    record, after = scene.record(run), scene.service()
    well = [one for one in after["instances"] if one["ami"] == before["current"] and one["health"] == "healthy"]
    same = [after[name] == before[name] for name in ("current", "previous_release")]
    checks = [
        Check(
            f"the run fails with the reason {' or '.join(f'`{reason}`' for reason in reasons)}",
            f"{scene.state(run)}, {record.outcome} at {record.stage}: {record.reason}",
            (scene.state(run), record.outcome) == ("failed", ReleaseOutcome.ROLLED_BACK) and record.reason in reasons,
        ),
        Check(
            f"all {SIZE} instances serve the image before, healthy",
            f"{len(well)} of {len(after['instances'])}",
            len(well) == len(after["instances"]) == SIZE,
        ),
        Check("`current` and `previous` are unchanged", f"`current` is {after['current']}", all(same)),
    ]
    return checks, {**ids(record), "explanation": record.explanation}


def check_in_time(scene: Scene, run: Run) -> list[Check]:
    """Return whether the refresh was rolled back in time, and as fast as it had gone forward."""
    refresh = scene.refresh(scene.refresh_id(run))
    rollback = refresh.get("RollbackDetails") or {}
    if refresh["Status"] != "RollbackSuccessful":
        return [Check("the refresh is rolled back", refresh["Status"], ok=False)]
    began = (rollback["RollbackStartTime"] - refresh["StartTime"]).total_seconds()
    back = (refresh["EndTime"] - rollback["RollbackStartTime"]).total_seconds()
    replaced = SIZE - rollback["InstancesToUpdateOnRollback"]
    service = config.load_service(SERVICE, config.load_environment(ENVIRONMENT))
    deadline, one = service.rollout.unhealthy_deadline, scene.measured("good-3", "replacement_seconds")
    if not replaced:
        return [
            Check(
                "rolled back within unhealthy_deadline and one replacement",
                f"{began + back:.0f} s of {deadline} s + {one:.0f} s",
                began + back <= deadline + one,
            )
        ]
    return [
        Check(
            "rollback began within unhealthy_deadline and one replacement",
            f"after {began:.0f} s of {deadline} s + {one:.0f} s",
            began <= deadline + one,
        ),
        Check(
            "rolled back in the time of as many replacements as there were, and one",
            f"{replaced} were replaced: {back:.0f} s of {replaced + 1} x {one:.0f} s",
            back <= (replaced + 1) * one,
        ),
    ]


def _never_promoted(scene: Scene) -> Findings:
    before, candidate = scene.service(), scene.channel("candidate")
    run = scene.deploy(scene.new_version(broken="healthz"))
    record, after = scene.record(run), scene.service()
    checks = [
        Check(
            "the probe catches it",
            f"{scene.state(run)} at {record.stage}: {record.reason}",
            (scene.state(run), record.reason) == ("failed", PROBE_FAILED),
        ),
        Check(
            "the image is never promoted",
            f"`candidate` is {scene.channel('candidate')}, the image is {record.ami_id}",
            scene.channel("candidate") == candidate != record.ami_id,
        ),
        Check("no refresh is started", ids(record)["refresh"], record.refresh is None),
        Check(
            "`current` and the instances are unchanged",
            f"`current` is {after['current']}",
            [after[name] for name in ("current", "instances")] == [before[name] for name in ("current", "instances")],
        ),
    ]
    return Findings(checks, {**ids(record), "explanation": record.explanation})


def _never_serves(scene: Scene) -> Findings:
    before = scene.service()
    version = scene.version_that_ended(PROBE_FAILED) or scene.new_version(broken="healthz")
    with scene.service_file(probe=WITHOUT_PROBE):
        run = scene.deploy(version)
    checks, facts = check_rolled_back(scene, run, before, Reason.UNHEALTHY)
    return Findings([*checks, *check_in_time(scene, run)], facts)


def _falls_ill(scene: Scene) -> Findings:
    before = scene.service()
    run = scene.deploy(scene.new_version(broken="late"))
    checks, facts = check_rolled_back(scene, run, before, *ILL)
    return Findings([*checks, *check_in_time(scene, run)], facts)


def _dies(scene: Scene) -> Findings:
    before = scene.service()
    version = scene.other_version()
    # An instance is healthy some ten seconds after it runs.
    scene.fault(KIND="service-dies", TAGS=f"rebake:kind=fleet,rebake:version={version}", SECONDS="30")
    run = scene.deploy(version)
    checks, facts = check_rolled_back(scene, run, before, *ILL)
    return Findings([*checks, *check_in_time(scene, run), _check_losses(scene)], facts)


def _check_losses(scene: Scene) -> Check:
    """Return whether requests were lost only until the load balancer saw that an instance was dead."""
    check = config.load_service(SERVICE, config.load_environment(ENVIRONMENT)).fleet.health_check
    most = check.interval * (check.unhealthy_threshold + 1)
    deaths = sum(one["fired"] for one in scene.faults())
    bad = sum(1 for came in scene.load.seconds.values() if came.failed) if scene.load else 0
    return Check(
        f"requests are lost only until the load balancer notices, at most {most} s a death",
        f"{scene.load.result.failed if scene.load else 0} lost in {bad} s, {deaths} deaths",
        0 < bad <= most * deaths,
    )


CASES: Final = (
    Case(
        "never-promoted",
        "Application never healthy, the probe on",
        "The probe catches it; the image is never promoted",
        _never_promoted,
    ),
    Case(
        "never-healthy",
        "Application never healthy, the probe switched off",
        "Rolled back within unhealthy_deadline and one replacement; 0 failed requests; the run fails with the reason; "
        "`current` unchanged",
        _never_serves,
    ),
    Case(
        "falls-ill",
        "Application fails 20 s after it became healthy",
        "Rollback began within unhealthy_deadline and one replacement, and ended; 0 failed requests; the run fails "
        "with the reason; `current` unchanged",
        _falls_ill,
    ),
    Case(
        "dies",
        "Application killed 20 s after it became healthy",
        "Rolled back as above. Requests to a process that is gone are lost until the health checks have seen it, as "
        "with AWS's load balancer: no longer than that",
        _dies,
        lossless=False,
    ),
)
