"""An alarm that goes off while a rollout is half done."""

from __future__ import annotations

from typing import Final

from prove.case import Case, Findings
from prove.cases.unhealthy import check_rolled_back
from prove.scene import Scene
from rebake.refresh import Reason

ALARM: Final = "webapp-errors"
HALF_WAY: Final = 33
"""Percent of the refresh: one instance of three is replaced."""


def _alarm(scene: Scene) -> Findings:
    before = scene.service()
    cloudwatch = scene.stack.cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=ALARM,
        Namespace="webapp",
        MetricName="Errors",
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="OK", StateReason="quiet")
    try:
        with scene.service_file(rollout={"alarms": [ALARM]}):
            run = scene.trigger("deploy_webapp", version=scene.other_version())
            scene.wait_for_progress(run, HALF_WAY)
            cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="errors")
            scene.note("fault", f"alarm {ALARM} goes off")
            scene.follow(run)
    finally:
        cloudwatch.delete_alarms(AlarmNames=[ALARM])
    checks, facts = check_rolled_back(scene, run, before, Reason.ALARM)
    return Findings(checks, facts)


CASES: Final = (
    Case(
        "alarm",
        "An alarm fires mid-refresh",
        "Rolled back; 0 failed requests; the reason is `alarm`",
        _alarm,
    ),
)
