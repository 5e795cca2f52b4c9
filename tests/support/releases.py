"""A release's record, and a report on the estate."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from rebake.estate.report import RETIRE_IMAGES, Report, Table
from rebake.release import record as release
from tests.support.aws import BUCKET, REGION

COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"


def record(number: int = 1, **other: Any) -> dict[str, Any]:
    """Return the record of a successful deployment."""
    return {
        **release.blank(),
        "release_id": f"webapp-20261123T18300{number}-1.{number}.0",
        "service": "webapp",
        "environment": "local",
        "version": f"1.{number}.0",
        "commit": COMMIT,
        "build_id": "77",
        "template_version": "1",
        "fingerprint": "f" * 64,
        "base_ami": "ami-0ba5e",
        "ami_id": f"ami-0{number}",
        "test_report": {
            "instance_id": "i-9",
            "seconds": 3.5,
            "checks": [{"name": "GET /", "ok": True, "attempts": 1, "seconds": 0.1, "answer": "HTTP 200"}],
        },
        "launch_template": {"id": "lt-1", "version": str(number)},
        "auto_scaling_group_name": "webapp-local",
        "refresh": {"id": f"refresh-{number}", "status": "Successful"},
        "instances": {"before": [f"i-{number}a"], "after": [f"i-{number}b", f"i-{number}c"]},
        "channels": {"candidate": f"ami-0{number}", "current": f"ami-0{number}", "previous": None},
        "requested_at": f"2026-11-23T18:30:0{number}+00:00",
        "requested_by": "ada",
        "finished_at": "2026-11-23T18:31:00+00:00",
        "outcome": release.SUCCESSFUL,
        "dag_run": f"deploy_webapp/manual__{number}",
        **other,
    }


def put(s3: Any, one: dict[str, Any]) -> None:
    """Write a record to the environment's bucket."""
    s3.put_object(Bucket=BUCKET, Key=release.key(one["service"], one["release_id"]), Body=json.dumps(one).encode())


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
