"""Good deployments: nothing is lost, and every instance is replaced."""

from typing import Any, Final

from prove.case import Case
from prove.result import Check, Findings
from prove.scene import SIZE, Run, Scene
from rebake.release import lineage
from rebake.release.record import ReleaseRecord

LARGE: Final = 6


def check_success(scene: Scene, run: Run, size: int = SIZE) -> tuple[list[Check], dict[str, str]]:
    """Return what must hold after a deployment or rollback that succeeded, and its ids."""
    record, service = scene.record(run), scene.service()
    image = record.ami_id
    on_it = [one for one in service["instances"] if one["ami"] == image and one["health"] == "healthy"]
    checks = [
        Check("the run succeeds", f"{scene.state(run)}, {record.outcome}", record.is_successful),
        Check(
            f"all {size} instances serve the image, healthy",
            f"{len(on_it)} of {len(service['instances'])}",
            len(on_it) == len(service["instances"]) == size,
        ),
        Check("`current` is the image", str(service["current"]), service["current"] == image),
        check_lineage(scene, run),
    ]
    return checks, ids(record)


def check_lineage(scene: Scene, run: Run) -> Check:
    """Return whether the record holds the whole chain, and is found from every part of it."""
    record = scene.record(run)
    ends = record.model_dump(include={"release_id", "version", "ami_id", "base_ami", "fingerprint"})
    ends |= {f"instance {number}": name for number, name in enumerate(record.instances.after, 1)}
    if run.conf.get("commit"):
        ends["commit"] = run.conf["commit"]
    if scene.refresh_id(run):
        ends["refresh"] = record.refresh and record.refresh.id
    lost = [name for name, end in ends.items() if not end or not lineage.find([record], end)]
    is_whole = not lost and len(record.instances.after) > 0
    measured = f"all {len(ends)} ids lead to it" if is_whole else f"not found from: {', '.join(lost) or 'any instance'}"
    return Check("lineage is complete", measured, is_whole)


def calls_of(scene: Scene, run: Run) -> list[dict[str, Any]]:
    """Return the API requests that the pipeline made from the trigger of a run to the end of its last task."""
    ends = [task.end.timestamp() for task in scene.stack.api.tasks(run.dag_id, run.run_id) if task.end]
    return scene.calls(run.requested_at, max(ends))


def ids(record: ReleaseRecord) -> dict[str, str]:
    """Return the ids of a release, by what they are."""
    refresh, instances = record.refresh, record.instances
    before = f"{', '.join(instances.before)} → " if instances.before else "stay: "
    return {
        "release": record.release_id,
        "outcome": record.outcome,
        "image": str(record.ami_id),
        "refresh": f"{refresh.id or 'none'} {refresh.status}".strip() if refresh else "none",
        "instances": before + ", ".join(instances.after),
    }


def _good_3(scene: Scene) -> Findings:
    version = scene.new_version()
    run = scene.deploy(version, commit="0123abc")
    calls = calls_of(scene, run)
    checks, facts = check_success(scene, run)
    refresh = scene.refresh(scene.refresh_id(run))
    seconds = (refresh["EndTime"] - refresh["StartTime"]).total_seconds() - refresh["Preferences"]["BakeTime"]
    figures = {"calls": len(calls), "replacement_seconds": seconds / SIZE}
    facts["one replacement"] = f"{seconds / SIZE:.1f} s"
    facts["API calls of the pipeline"] = f"{len(calls)}, of which {sum(one['status'] >= 400 for one in calls)} refused"
    return Findings(checks, facts, figures)


def _good_6(scene: Scene) -> Findings:
    scene.scale(LARGE)
    run = scene.deploy(scene.other_version(), commit="0123abd")
    checks, facts = check_success(scene, run, LARGE)
    scene.scale(SIZE)
    return Findings(checks, facts)


CASES: Final = (
    Case(
        "good-3",
        "Good deploy, 3 instances",
        "0 failed requests; all instances on the new image; lineage complete",
        _good_3,
    ),
    Case(
        "good-6",
        "Good deploy, 6 instances",
        "0 failed requests; all instances on the new image; lineage complete",
        _good_6,
    ),
)
