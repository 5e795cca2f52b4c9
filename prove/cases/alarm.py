"""An alarm fires while a rollout is half done."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from prove.case import Case
from prove.cases.unhealthy import check_rolled_back
from prove.result import Findings
from prove.scene import Scene
from rebake.rollout.refresh import Reason

ALARM: Final = "webapp-errors"
HALF_WAY: Final = 33
"""Percent of the refresh: one instance of three is replaced."""


@contextlib.contextmanager
def alarm(scene: Scene) -> Iterator[Callable[[str, str], None]]:
    """Add an alarm in state OK to the service's rollouts; yield a function that sets its state and reason."""
    cloudwatch = scene.stack.cloud.client("cloudwatch")

    def set_state(state: str, reason: str) -> None:
        cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason=reason)
        if state == "ALARM":
            scene.note("fault", f"alarm {ALARM} goes off: {reason}")

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
    set_state("OK", "quiet")
    try:
        with scene.service_file(rollout={"alarms": [ALARM]}):
            yield set_state
    finally:
        cloudwatch.delete_alarms(AlarmNames=[ALARM])


def _alarm(scene: Scene) -> Findings:
    before = scene.service()
    with alarm(scene) as set_state:
        run = scene.trigger("deploy_webapp", version=scene.other_version())
        scene.wait_for_progress(run, HALF_WAY)
        set_state("ALARM", "errors")
        scene.follow(run)
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
