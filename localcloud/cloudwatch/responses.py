"""Actions of CloudWatch that moto lacks or answers wrongly."""

from collections.abc import Callable
from typing import Any

from moto.cloudwatch.exceptions import CloudWatchException
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from localcloud.exceptions import refusal
from localcloud.pages import page

USUAL_PAGE = 50
_moto_put: Callable[[Any], ActionResult] = CloudWatchResponse.put_metric_alarm
_invalid_next_token = refusal(CloudWatchException, "InvalidNextToken", "The next token specified is invalid.")


def put_composite_alarm(self: Any) -> ActionResult:
    """PutCompositeAlarm: moto keeps such alarms, and lacks the action."""
    return _moto_put(self)


def describe_alarms(self: Any) -> ActionResult:
    """DescribeAlarms: each filter narrows, only metric alarms are returned by default, and there are pages."""
    names, state = self._get_param("AlarmNames", []), self._get_param("StateValue")
    prefix, action = self._get_param("AlarmNamePrefix", ""), self._get_param("ActionPrefix")
    kinds = self._get_param("AlarmTypes", ["MetricAlarm"])
    found = [
        alarm
        for alarm in sorted(self.cloudwatch_backend.describe_alarms(), key=lambda alarm: str(alarm.name))
        if (not names or alarm.name in names)
        and alarm.name.startswith(prefix)
        and state in {None, alarm.state_value}
        and (not action or any(each.startswith(action) for each in alarm.alarm_actions))
        and ("CompositeAlarm" if alarm.rule else "MetricAlarm") in kinds
    ]
    size, token = self._get_int_param("MaxRecords") or USUAL_PAGE, self._get_param("NextToken")
    shown, following = page(found, size, token, _invalid_next_token)
    return ActionResult(
        {
            "MetricAlarms": [alarm for alarm in shown if alarm.rule is None],
            "CompositeAlarms": [alarm for alarm in shown if alarm.rule is not None],
            "NextToken": following,
        }
    )
