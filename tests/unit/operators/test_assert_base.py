"""The stage assert_base: what it asks an instance of a base image, and what it concludes."""

from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from rebake.exceptions import ImageError, ProbeFailedError
from rebake.operators.assert_base import INSPECTION, AssertBaseOperator
from tests.support.task import context
from tests.unit.base.base_facts import FAMILY, LINES, BaseCloud, encoded, instead


def _judge(instance_id: str, *lines: str) -> dict[str, Any]:
    operator = AssertBaseOperator(task_id="probe", instance_id=instance_id, subject=FAMILY)
    event = {
        "ok": True,
        "message": "all checks passed",
        "report": {"instance_id": "i-1", "seconds": 1, "checks": []},
        "outputs": {INSPECTION: encoded(*lines)},
    }
    return operator.execute_complete(context(), event)


def test_the_instance_is_asked_what_it_is_like_besides_the_familys_checks(base_cloud: BaseCloud) -> None:
    operator = AssertBaseOperator(task_id="probe", instance_id="i-1", subject=FAMILY)

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context())

    checks = {check.name: check for check in deferred.value.trigger.checks}
    assert list(checks) == ["runs a command", INSPECTION]
    assert [check.keeps_output for check in checks.values()] == [False, True]


def test_an_image_that_is_as_declared_passes_with_a_verdict_on_each_assertion(base_cloud: BaseCloud) -> None:
    report = _judge(base_cloud.boot(base_cloud.image("good")), *LINES)

    assert [verdict for verdict in report["assertions"] if not verdict["ok"]] == []
    assert {"assertion": "imds_v2", "ok": True, "expected": "ImdsSupport v2.0", "found": "ImdsSupport v2.0"} in report[
        "assertions"
    ]
    assert report["inspection"] == encoded(*LINES)


def test_an_image_that_breaks_assertions_fails_with_all_of_them(base_cloud: BaseCloud) -> None:
    ami_id = base_cloud.image("bad", imds_support="")
    lines = instead("sysctl", "sysctl\tnet.ipv4.ip_forward\t1", "package\ttelnetd\t0.17-1\tamd64")

    with pytest.raises(ProbeFailedError) as failure:
        _judge(base_cloud.boot(ami_id), *lines)

    assert str(failure.value).splitlines() == [
        f"base {FAMILY} {ami_id} is bad: 3 of 20 assertions failed:",
        "packages.absent telnetd: expected absent, found version 0.17-1",
        "sysctls net.ipv4.ip_forward: expected 0, found 1",
        "imds_v2: expected ImdsSupport v2.0, found ImdsSupport unset",
    ]


def test_an_instance_whose_report_is_cut_passes_nothing(base_cloud: BaseCloud) -> None:
    with pytest.raises(ImageError, match="has no end"):
        _judge(base_cloud.boot(base_cloud.image("cut")), *LINES[:-1])
