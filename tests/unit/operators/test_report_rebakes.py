"""The stage report_rebakes."""

import json
from typing import Any

from rebake.operators.report_rebakes import ReportRebakesOperator
from tests.support.aws import BUCKET
from tests.support.task import RUN_ID, context


def test_the_report_has_every_service(aws: Any) -> None:
    states = {
        "find_dependents": "success",
        "rebake.choose_version_0": "success",
        "rebake.bake_0": "failed",
        "rebake.choose_version_1": "skipped",
    }
    handed_on = {
        ("find_dependents", "return_value", -1): ["webapp", "pages"],
        ("find_dependents", "found", -1): {
            "families": ["debian-12"],
            "skipped": [{"service": "typo", "on_new_base": "", "outcome": "invalid", "why": "x"}],
        },
        ("rebake.choose_version", "return_value", 0): {"version": "1.1.0"},
        ("rebake.bake", "failure", 0): {"reason": "artifact", "message": "no such file"},
        ("rebake.choose_version", "failure", 1): {"reason": "not_needed", "message": "pages was never released"},
    }
    task = context()
    task["ti"].get_task_states = lambda **_: {RUN_ID: states}
    task["ti"].xcom_pull = lambda task_ids, key, map_indexes: handed_on.get((task_ids, key, map_indexes))

    key = ReportRebakesOperator(task_id="report", group="rebake").execute(task)

    report = json.loads(aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert report["title"] == "New base debian-12: 1 failed, 1 not needed, 1 invalid"
    assert report["tables"][0]["rows"] == [
        ["webapp", "deploy", "failed", "1.1.0", "", "bake: no such file"],
        ["pages", "deploy", "not needed", "", "", "pages was never released"],
        ["typo", "", "invalid", "", "", "x"],
    ]
