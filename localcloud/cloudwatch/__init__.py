"""CloudWatch: moto's records, with AWS's limits, and alarms that keep their state. Nothing evaluates an alarm."""


def install() -> None:
    """Patch moto's CloudWatch."""
    from moto.cloudwatch.models import cloudwatch_backends
    from moto.cloudwatch.responses import CloudWatchResponse

    from localcloud.adoption import adopt, answer_with
    from localcloud.cloudwatch import responses
    from localcloud.cloudwatch.models import LocalCloudWatchBackend

    adopt(cloudwatch_backends, LocalCloudWatchBackend)
    answer_with(responses, CloudWatchResponse, "cloudwatch")
