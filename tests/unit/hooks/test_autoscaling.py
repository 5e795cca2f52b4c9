"""Auto Scaling's records of refreshes."""

from rebake.hooks.autoscaling import AutoScalingHook
from tests.support.aws import CONNECTION, stubbed
from tests.support.fleet import GROUP, refresh


def test_all_pages_of_refreshes_are_read() -> None:
    """boto3 has no paginator here, so this is ours to get right."""
    with stubbed("autoscaling") as (client, stubber):
        hook = AutoScalingHook(**CONNECTION)
        hook.__dict__["conn"] = client
        stubber.add_response(
            "describe_instance_refreshes", {"InstanceRefreshes": [refresh("Failed")], "NextToken": "more"}
        )
        stubber.add_response(
            "describe_instance_refreshes",
            {"InstanceRefreshes": [refresh("InProgress", refresh_id="r-2")]},
            {"AutoScalingGroupName": GROUP, "NextToken": "more"},
        )

        assert [one["InstanceRefreshId"] for one in hook.refreshes(GROUP)] == ["r-1", "r-2"]
