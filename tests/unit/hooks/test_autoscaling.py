"""Auto Scaling's records of refreshes."""

from botocore.stub import Stubber

from rebake.hooks.autoscaling import AutoScalingHook
from tests.support.aws import CONNECTION
from tests.support.fleet import GROUP, refresh


def test_all_pages_of_refreshes_are_read(autoscaling: Stubber) -> None:
    """boto3 has no paginator here, so this is ours to get right."""
    for more, status, given in (({"NextToken": "more"}, "Failed", {}), ({}, "InProgress", {"NextToken": "more"})):
        answer = {"InstanceRefreshes": [refresh(status, refresh_id=status)], **more}
        autoscaling.add_response("describe_instance_refreshes", answer, {"AutoScalingGroupName": GROUP, **given})

    assert [one["Status"] for one in AutoScalingHook(**CONNECTION).refreshes(GROUP)] == ["Failed", "InProgress"]
