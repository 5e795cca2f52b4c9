"""Release records, a run whose stages have returned their results, and a report on the estate."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rebake.estate.report import RETIRE_IMAGES, Report, Table
from rebake.release import lease
from rebake.release import record as release
from rebake.release.lease import Lease, LeaseRequest, RunKind
from rebake.release.record import ReleaseRecord
from rebake.release.stage import Stage
from tests.support.aws import BUCKET, REGION
from tests.support.fleet import GROUP, TEMPLATE
from tests.support.task import REQUESTED_AT, context

COMMIT: Final = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
TEST_REPORT: Final = {
    "instance_id": "i-9",
    "address": "10.0.0.9",
    "seconds": 3.5,
    "checks": [{"name": "GET /", "ok": True, "attempts": 1, "seconds": 0.1, "answer": "HTTP 200"}],
}
IMAGE: Final = {
    "version": "1.2.3",
    "commit": "0a1b2c3",
    "build_id": "77",
    "template_version": "1",
    "fingerprint": "f" * 64,
    "base_ami": "ami-0ba5e",
    "reused": False,
}
RESULTS: Final[Mapping[str, Any]] = {
    Stage.BAKE: {"ami_id": "ami-01", **IMAGE},
    Stage.PROBE: TEST_REPORT,
    Stage.TERRAFORM_APPLY: {
        "launch_template_id": TEMPLATE,
        "launch_template_version": "2",
        "auto_scaling_group_name": GROUP,
        "target_group_arn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/webapp/1",
        "url": "http://127.0.0.1:8080/",
        "load_balancer_dns_name": "127.0.0.1",
    },
    Stage.START_REFRESH: {"refresh_id": "r-1", "launch_template_version": "2", "instances_before": ["i-1", "i-2"]},
    Stage.WAIT_FOR_REFRESH: "Successful",
}


def record(number: int = 1, outcome: str = "successful", **other: Any) -> ReleaseRecord:
    """Return the record of a deployment, by default of one that succeeded."""
    fields: dict[str, Any] = {
        **IMAGE,
        "release_id": f"webapp-20261123T18300{number}-1.{number}.0",
        "kind": "deploy",
        "service": "webapp",
        "environment": "local",
        "version": f"1.{number}.0",
        "commit": COMMIT,
        "ami_id": f"ami-0{number}",
        "test_report": TEST_REPORT,
        "launch_template": {"id": "lt-1", "version": str(number)},
        "auto_scaling_group_name": GROUP,
        "refresh": {"id": f"refresh-{number}", "status": "Successful"},
        "instances": {"before": [f"i-{number}a"], "after": [f"i-{number}b", f"i-{number}c"]},
        "requested_at": f"2026-11-23T18:30:0{number}Z",
        "requested_by": "ada",
        "dag_run": f"deploy_webapp/manual__{number}",
        "outcome": outcome,
        **ending(outcome, ami_id=f"ami-0{number}"),
        **other,
    }
    return ReleaseRecord.model_validate(fields, strict=False)


def ending(outcome: str, ami_id: str = "ami-01") -> dict[str, Any]:
    """Return the fields that every record of this outcome has."""
    if outcome == "in_progress":
        return {}
    if outcome == "successful":
        channels = {"candidate": ami_id, "current": ami_id, "previous": None}
        return {"finished_at": "2026-11-23T18:31:00Z", "channels": channels}
    return {
        "finished_at": "2026-11-23T18:31:00Z",
        "stage": "wait_for_refresh",
        "reason": "unhealthy",
        "explanation": "i-3 is unhealthy",
        "superseded_by": "rollback_webapp/x" if outcome == "superseded" else None,
    }


def put_record(s3: Any, one: ReleaseRecord) -> str:
    """Write a record as S3 keeps it, and return its release id."""
    named = release.progress_key if one.outcome == "in_progress" else release.key
    s3.put_object(Bucket=BUCKET, Key=named(one.service, one.release_id), Body=one.model_dump_json().encode())
    return one.release_id


def acquire_lease(s3: Any, run: str, minutes: float = 0, since: datetime = REQUESTED_AT) -> Lease | None:
    """Acquire webapp's lease for a run such as `rollback_webapp/x` that was requested so many minutes after `since`."""
    kind = RunKind.ROLLBACK if run.startswith("rollback") else RunKind.DEPLOY
    request = LeaseRequest(run, kind, since + timedelta(minutes=minutes), timedelta(hours=2))
    return lease.acquire(s3, BUCKET, "webapp", request)


def lease_now(s3: Any) -> Lease:
    """Return webapp's lease."""
    found = lease.read(s3, BUCKET, "webapp")
    assert found is not None
    return found


def run_context(
    results: Mapping[str, Any], states: Mapping[str, str], failures: Mapping[str, Mapping[str, Any]] | None = None
) -> Any:
    """Return the context of a task in a run.

    Args:
        results: what its tasks have returned.
        states: the tasks' states.
        failures: what tasks have left under the XCom key `failure`.
    """
    task = context()
    kept = {"return_value": results, "failure": failures or {}}
    task["ti"].get_task_states = lambda **_: {task["ti"].run_id: dict(states)}
    task["ti"].xcom_pull = lambda task_ids, key="return_value": kept[key].get(task_ids)
    return task


REPORT = Report(
    kind=RETIRE_IMAGES,
    environment="local",
    region=REGION,
    at=datetime(2026, 3, 1, 4, 30, tzinfo=UTC),
    title="2 images are due",
    summary={"dry run": True, "due": 2, "missing fleets": []},
    tables=(
        Table("Due", ("image", "why"), (("ami-1", "older than 30 days"), ("ami-2", None))),
        Table("Kept", ("image", "why"), ()),
    ),
)
