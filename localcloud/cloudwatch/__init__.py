"""CloudWatch: moto's records, with AWS's limits, and alarms that keep their state. Nothing evaluates an alarm."""

from __future__ import annotations

from typing import Any


def install() -> None:
    """Patch moto's CloudWatch."""
    from moto.cloudwatch.models import cloudwatch_backends
    from moto.cloudwatch.responses import CloudWatchResponse

    from localcloud.adoption import adopt
    from localcloud.cloudwatch import responses
    from localcloud.cloudwatch.models import LocalCloudWatchBackend

    adopt(cloudwatch_backends, LocalCloudWatchBackend)
    answers: Any = CloudWatchResponse
    answers.describe_alarms = responses.describe_alarms
    answers.put_composite_alarm = responses.put_composite_alarm
