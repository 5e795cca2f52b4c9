from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.handlers import base64_encode_user_data
from moto.core.exceptions import ServiceException

from tests.localcloud.fleet_fakes import REGION, World


def test_group_comes_up_from_pending_to_in_service(small: World) -> None:
    """Creating a group returns at once; its instances boot, then are registered and in service."""
    small.asg.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=1, MaxSize=4, DesiredCapacity=2,
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "1"},
        VPCZoneIdentifier=",".join(small.subnets), TargetGroupARNs=[small.target_group],
    )  # fmt: skip
    at_first = small.instances()
    small.tick()
    launched = [each["LifecycleState"] for each in small.instances()]
    small.run(5)

    assert at_first == []
    assert launched == ["Pending", "Pending"]
    assert [each["LifecycleState"] for each in small.instances()] == ["InService", "InService"]
    assert small.serving() == 2


def test_instances_carry_template_tags_and_the_group_tag(small: World) -> None:
    """Tags come from the template, from propagated group tags, and from Auto Scaling itself; volumes get theirs."""
    small.create_group(
        desired=1,
        Tags=[
            {"Key": "team", "Value": "web", "PropagateAtLaunch": True},
            {"Key": "secret", "Value": "x", "PropagateAtLaunch": False},
        ],
    )
    described = small.ec2.describe_instances(InstanceIds=[small.instances()[0]["InstanceId"]])
    instance = described["Reservations"][0]["Instances"][0]
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    volume = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    volume_tags = small.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Tags"]

    assert tags == {
        "team": "web",
        "rebake:version": "1",
        "aws:autoscaling:groupName": "web",
        "aws:ec2launchtemplate:id": small.template,
        "aws:ec2launchtemplate:version": "1",
    }
    assert volume_tags == [{"Key": "rebake:kind", "Value": "fleet"}]
    assert (instance["ImageId"], instance["InstanceType"]) == (small.images[0], "t3.micro")


def test_instances_spread_over_the_subnets(small: World) -> None:
    small.create_group(desired=4)
    zones = [each["AvailabilityZone"] for each in small.instances()]

    assert sorted(zones.count(zone) for zone in set(zones)) == [2, 2]


def test_terminated_instance_is_replaced(small: World) -> None:
    small.create_group()
    victim = small.instances()[0]["InstanceId"]
    small.ec2.terminate_instances(InstanceIds=[victim])
    small.run(10)

    assert len(small.instances("InService")) == 3
    assert victim not in {each["InstanceId"] for each in small.instances()}
    causes = [each["Cause"] for each in small.asg.describe_scaling_activities(AutoScalingGroupName="web")["Activities"]]
    assert any("EC2 health check indicating it has been terminated or stopped" in cause for cause in causes)


def test_unhealthy_target_is_replaced_after_the_grace_period(small: World) -> None:
    small.create_group(HealthCheckGracePeriod=60)
    victim = small.instances()[0]["InstanceId"]
    small.sick.add(victim)
    small.run(40)
    before = {each["InstanceId"] for each in small.instances("InService")}
    small.run(30)

    assert victim in before
    assert victim not in {each["InstanceId"] for each in small.instances()}
    assert len(small.instances("InService")) == 3


def test_unhealthy_target_is_kept_with_ec2_health_checks(small: World) -> None:
    small.create_group(HealthCheckType="EC2")
    small.sick.add(small.instances()[0]["InstanceId"])
    before = {each["InstanceId"] for each in small.instances()}
    small.run(120)

    assert before == {each["InstanceId"] for each in small.instances()}


def test_instance_set_unhealthy_is_replaced(small: World) -> None:
    """SetInstanceHealth overrules, within the grace period only if the request does not respect it."""
    small.create_group(HealthCheckGracePeriod=300)
    victim = small.instances()[0]["InstanceId"]
    small.asg.set_instance_health(InstanceId=victim, HealthStatus="Unhealthy")
    small.run(2)
    spared = victim in {each["InstanceId"] for each in small.instances()}
    small.asg.set_instance_health(InstanceId=victim, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    small.run(2)

    assert spared
    assert victim not in {each["InstanceId"] for each in small.instances()}


def test_capacity_follows_set_desired_capacity(small: World) -> None:
    small.create_group()
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=5)
    small.run(5)
    grown = len(small.instances("InService"))
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    small.run(2)

    assert grown == 5
    assert len(small.instances()) == 1


def test_scale_in_spares_protected_instances(small: World) -> None:
    small.create_group()
    kept = small.protect_one()
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    small.run(5)

    assert [each["InstanceId"] for each in small.instances()] == [kept]


@pytest.mark.parametrize(("policy", "leaves"), [("OldestInstance", 0), ("NewestInstance", 2), ("Default", 1)])
def test_scale_in_follows_the_termination_policy(small: World, policy: str, leaves: int) -> None:
    """By default the oldest launch template version leaves, which the second instance has here."""
    small.create_group(
        desired=1, version="2", TerminationPolicies=[policy], VPCZoneIdentifier=small.subnets[0], HealthCheckType="EC2"
    )
    launched = [each["InstanceId"] for each in small.instances()]
    for version, desired in (("1", 2), ("2", 3)):
        template = {"LaunchTemplateName": "web", "Version": version}
        small.asg.update_auto_scaling_group(
            AutoScalingGroupName="web", LaunchTemplate=template, DesiredCapacity=desired
        )
        small.run(10)
        launched += [each["InstanceId"] for each in small.instances() if each["InstanceId"] not in launched]
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=2)
    small.run(10)

    assert set(launched) - {each["InstanceId"] for each in small.instances()} == {launched[leaves]}


def test_scale_in_evens_out_the_zones(small: World) -> None:
    small.create_group(desired=4)
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=2)
    small.run(5)

    assert len({each["AvailabilityZone"] for each in small.instances()}) == 2


def test_instance_drains_before_it_is_terminated(small: World) -> None:
    """A leaving instance is deregistered first and terminated only once it has drained."""
    small.create_group()
    pool = small.load_balancing._balancer.pools[small.target_group]
    pool.deregistration_delay = 30
    victim = small.instances()[0]["InstanceId"]
    answer = small.asg.terminate_instance_in_auto_scaling_group(InstanceId=victim, ShouldDecrementDesiredCapacity=True)
    small.run(10)
    health = small.elb.describe_target_health(TargetGroupArn=small.target_group, Targets=[{"Id": victim}])
    state = small.cloud.instance(victim).state
    activity = small.asg.describe_scaling_activities(ActivityIds=[answer["Activity"]["ActivityId"]])["Activities"][0]
    small.run(25)

    assert health["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "draining"
    assert state == "running"
    assert activity["StatusCode"] == "WaitingForELBConnectionDraining"
    assert small.cloud.instance(victim).state == "terminated"
    assert (len(small.instances()), small.group["DesiredCapacity"]) == (2, 2)


def test_draining_ends_with_the_deregistration_delay(small: World) -> None:
    small.create_group()
    pool = small.load_balancing._balancer.pools[small.target_group]
    pool.deregistration_delay = 30
    victim = small.instances()[0]["InstanceId"]
    pool.targets[victim, 8080].in_flight = 1
    small.asg.terminate_instance_in_auto_scaling_group(InstanceId=victim, ShouldDecrementDesiredCapacity=True)
    small.run(25)
    before = small.cloud.instance(victim).state
    small.run(10)
    pool.finish_draining(small.clock())
    small.run(2)

    assert before == "running"
    assert small.cloud.instance(victim).state == "terminated"


def test_terminate_without_decrement_is_replaced(small: World) -> None:
    small.create_group()
    victim = small.instances()[0]["InstanceId"]
    small.asg.terminate_instance_in_auto_scaling_group(InstanceId=victim, ShouldDecrementDesiredCapacity=False)
    small.run(6)

    assert len(small.instances("InService")) == 3
    assert victim not in {each["InstanceId"] for each in small.instances()}


def test_force_delete_describes_the_group_until_its_instances_are_gone(small: World) -> None:
    """Terraform deletes with force and then waits for the group to be gone."""
    small.create_group()
    small.compute.terminate = lambda instance_id: None  # type: ignore[method-assign]
    small.asg.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
    small.run(5)
    during = small.group["Status"]
    del small.compute.terminate  # type: ignore[method-assign]
    for each in small.backend().instance_states:
        small.ec2.terminate_instances(InstanceIds=[each.instance_id])
    small.run(2)

    assert during == "Delete in progress"
    assert small.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"] == []


def test_group_with_instances_is_deleted_only_by_force(small: World) -> None:
    """Without force the group must be emptied first, which Terraform does by setting its sizes to zero."""
    small.create_group()
    with pytest.raises(ClientError, match="ResourceInUse"):
        small.asg.delete_auto_scaling_group(AutoScalingGroupName="web")
    small.asg.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=0, MaxSize=0, DesiredCapacity=0)
    small.run(3)
    small.asg.delete_auto_scaling_group(AutoScalingGroupName="web")

    assert small.asg.describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_deletion_waits_for_what_is_under_way(small: World) -> None:
    """While instances boot or drain, the error is another than for a group that merely has some."""
    small.create_group(desired=0, MinSize=0)
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    for _ in range(2):  # before the launch begins, and during it
        with pytest.raises(ClientError, match="ScalingActivityInProgress"):
            small.asg.delete_auto_scaling_group(AutoScalingGroupName="web")
        small.tick()
    small.run(10)
    with pytest.raises(ClientError, match="ResourceInUse"):
        small.asg.delete_auto_scaling_group(AutoScalingGroupName="web")


def test_group_that_is_being_deleted_is_not_changed(small: World) -> None:
    small.create_group()
    small.compute.terminate = lambda instance_id: None  # type: ignore[method-assign]
    small.asg.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)

    with pytest.raises(ClientError, match="pending delete"):
        small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)


def test_cooldown_ends(small: World) -> None:
    """SetDesiredCapacity with HonorCooldown is refused while instances come, and for the cooldown after that."""
    small.create_group(desired=1, DefaultCooldown=60)
    honored = {"AutoScalingGroupName": "web", "DesiredCapacity": 2, "HonorCooldown": True}
    with pytest.raises(ClientError, match="ScalingActivityInProgress"):
        small.asg.set_desired_capacity(**honored)
    small.run(60)
    small.asg.set_desired_capacity(**honored)

    with pytest.raises(ClientError, match="ScalingActivityInProgress"):
        small.asg.set_desired_capacity(**honored)


def test_group_that_fails_does_not_keep_others_waiting(small: World) -> None:
    small.asg.create_auto_scaling_group(
        AutoScalingGroupName="broken", MinSize=0, MaxSize=1, VPCZoneIdentifier=small.subnets[0],
        LaunchTemplate={"LaunchTemplateName": "web"},
    )  # fmt: skip
    small.cloud.backend("autoscaling").autoscaling_groups["broken"].instance_states = None
    small.asg.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=1, MaxSize=1, VPCZoneIdentifier=small.subnets[0],
        LaunchTemplate={"LaunchTemplateName": "web"},
    )  # fmt: skip
    with pytest.raises(ExceptionGroup):
        small.tick()

    assert len(small.instances()) == 1


def test_failed_launch_is_reported_and_retried_with_pauses(small: World) -> None:
    small.compute.refuse = ServiceException("InvalidAMIID.NotFound", "The image id '[ami-11111111]' does not exist")
    small.create_group()
    small.run(60)
    activities = small.asg.describe_scaling_activities(AutoScalingGroupName="web")["Activities"]
    small.compute.refuse = None
    small.run(70)

    assert {each["StatusCode"] for each in activities} == {"Failed"}
    assert "ami-11111111" in activities[0]["StatusMessage"]
    assert 3 <= len(activities) <= 6
    assert len(small.instances("InService")) == 3


def test_instance_that_does_not_boot_is_replaced(small: World) -> None:
    """An instance that dies while pending fails its activity; another follows after a pause."""
    small.create_group(desired=0, MinSize=0)
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    small.tick()
    small.cloud.instance(small.instances()[0]["InstanceId"]).terminate()
    small.run(2)
    paused = small.instances()
    small.run(10)

    assert paused == []
    assert len(small.instances("InService")) == 1


@pytest.mark.parametrize("suspended", ["Launch", "Terminate"])
def test_suspended_processes_do_nothing(small: World, suspended: str) -> None:
    small.create_group()
    small.asg.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=[suspended])
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=5 if suspended == "Launch" else 1)
    small.run(10)
    meanwhile = len(small.instances())
    small.asg.resume_processes(AutoScalingGroupName="web", ScalingProcesses=[suspended])
    small.run(10)

    assert meanwhile == 3
    assert len(small.instances()) == (5 if suspended == "Launch" else 1)


def test_standby_instances_get_no_traffic(small: World) -> None:
    small.create_group()
    aside = small.instances()[0]["InstanceId"]
    small.asg.enter_standby(AutoScalingGroupName="web", InstanceIds=[aside], ShouldDecrementDesiredCapacity=True)
    small.run(3)
    serving = small.serving()
    small.asg.exit_standby(AutoScalingGroupName="web", InstanceIds=[aside])
    small.run(3)

    assert serving == 2
    assert small.serving() == 3
    assert small.group["DesiredCapacity"] == 3


def test_target_groups_attached_later_get_the_instances(small: World) -> None:
    small.create_group(TargetGroupARNs=[])
    none = small.serving()
    small.asg.attach_load_balancer_target_groups(AutoScalingGroupName="web", TargetGroupARNs=[small.target_group])
    small.run(2)
    all_of_them = small.serving()
    small.asg.detach_load_balancer_target_groups(AutoScalingGroupName="web", TargetGroupARNs=[small.target_group])
    small.run(2)

    assert (none, all_of_them, small.serving()) == (0, 3, 0)


def test_detached_instance_lives_on_outside_the_group(small: World) -> None:
    small.create_group()
    freed = small.instances()[0]["InstanceId"]
    small.asg.detach_instances(AutoScalingGroupName="web", InstanceIds=[freed], ShouldDecrementDesiredCapacity=True)
    small.run(3)
    small.asg.attach_instances(AutoScalingGroupName="web", InstanceIds=[freed])
    small.run(3)

    assert small.cloud.instance(freed).state == "running"
    assert freed in {each["InstanceId"] for each in small.instances("InService")}
    assert len(small.instances()) == 3


@pytest.mark.parametrize(
    ("call", "arguments", "code", "part"),
    [
        ("set_desired_capacity", {"DesiredCapacity": 21}, "ValidationError", "above max value 20"),
        ("set_desired_capacity", {"DesiredCapacity": 0}, "ValidationError", "below min value 1"),
        ("update_auto_scaling_group", {"DesiredCapacity": 21}, "ValidationError", "Desired capacity:21"),
        ("create_auto_scaling_group", {"MinSize": 1, "MaxSize": 1}, "AlreadyExists", "web"),
    ],
)
def test_impossible_requests_are_refused(
    small: World, call: str, arguments: dict[str, int], code: str, part: str
) -> None:
    small.create_group()
    with pytest.raises(ClientError) as caught:
        getattr(small.asg, call)(AutoScalingGroupName="web", **arguments)

    assert caught.value.response["Error"]["Code"] == code
    assert part in caught.value.response["Error"]["Message"]


def test_errors_of_ec2_become_auto_scalings_own(small: World) -> None:
    """The codes of one service are unknown to the clients of another."""
    scaling: Any = boto3.client("autoscaling", REGION)
    encode = "before-parameter-build.autoscaling.CreateLaunchConfiguration"
    scaling.meta.events.unregister(encode, base64_encode_user_data)

    with pytest.raises(ClientError, match="ValidationError"):
        scaling.create_launch_configuration(
            LaunchConfigurationName="web", ImageId=small.images[0], InstanceType="t3.micro", UserData="%"
        )


def test_unknown_instance_is_named(small: World) -> None:
    with pytest.raises(ClientError, match="i-00000000"):
        small.asg.set_instance_health(InstanceId="i-00000000", HealthStatus="Unhealthy")


def test_raising_the_minimum_raises_the_desired_capacity(small: World) -> None:
    small.create_group()
    small.asg.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=5)
    raised = small.group["DesiredCapacity"]
    small.asg.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=1, MaxSize=2)

    assert (raised, small.group["DesiredCapacity"]) == (5, 2)


def test_grace_period_defaults_to_zero(small: World) -> None:
    """The API's default, which is not the console's."""
    small.asg.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=0, MaxSize=1, VPCZoneIdentifier=small.subnets[0],
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "1"}, DefaultInstanceWarmup=30,
    )  # fmt: skip

    assert small.group["HealthCheckGracePeriod"] == 0
    assert small.group["DefaultInstanceWarmup"] == 30


def test_moto_is_released_at(small: World) -> None:
    from moto.autoscaling import models
    from moto.autoscaling.responses import AutoScalingResponse

    patched = hasattr(AutoScalingResponse, "start_instance_refresh")
    small.scaling._patches.close()

    assert patched
    assert not hasattr(AutoScalingResponse, "start_instance_refresh")
    assert models.FakeAutoScalingGroup.__module__ == "moto.autoscaling.models"
