"""Facts of Auto Scaling: groups, what they are launched from, and where."""

import datetime as dt
from typing import Any

import pytest

from tests.fidelity.fleet_support import ZONES, Fleet
from tests.fidelity.refusals import refused
from tests.fidelity.sources import autoscaling, autoscaling_guide, report
from tests.localcloud.server_support import Server, wait_until

SERVICE = "Auto Scaling"
NOWHERE = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/none/0123456789abcdef"


@pytest.fixture(scope="module")
def fleet(cloud: Server) -> Fleet:
    """Groups."""
    return Fleet(cloud, "groups")


# What a group is launched from


@pytest.mark.parametrize(
    ("version", "text"),
    [
        pytest.param(
            "9", "You must use a valid fully-formed launch template", marks=pytest.mark.fact(
                "A group with a launch template version that does not exist is refused",
                autoscaling("LaunchTemplateSpecification"))),
        pytest.param(
            "newest", "either '$Default', '$Latest', or a numeric version", marks=pytest.mark.fact(
                "A launch template version is a number, $Latest or $Default",
                autoscaling("LaunchTemplateSpecification"))),
    ],
)  # fmt: skip
def test_group_of_an_unknown_version_is_refused(fleet: Fleet, version: str, text: str) -> None:
    with refused("ValidationError", text=text):
        fleet.create("unknown-version", LaunchTemplate={**fleet.template, "Version": version})

    assert fleet.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["unknown-version"])["AutoScalingGroups"] == []


@pytest.mark.fact("UpdateAutoScalingGroup to a version that does not exist is refused",
                  autoscaling("UpdateAutoScalingGroup"))  # fmt: skip
def test_update_to_an_unknown_version_is_refused(fleet: Fleet) -> None:
    fleet.create("update-version")
    with refused("ValidationError", text="fully-formed launch template"):
        fleet.asg.update_auto_scaling_group(
            AutoScalingGroupName="update-version", LaunchTemplate={**fleet.template, "Version": "9"}
        )

    assert "Version" not in fleet.group("update-version")["LaunchTemplate"]


@pytest.mark.fact("A launch template that does not exist is refused", autoscaling("LaunchTemplateSpecification"))
@pytest.mark.fact("A launch template is named by its id or by its name, not by both",
                  autoscaling("LaunchTemplateSpecification"))  # fmt: skip
def test_template_has_to_exist_and_be_named_once(fleet: Fleet) -> None:
    with refused("ValidationError", text="fully-formed launch template"):
        fleet.create("no-template", LaunchTemplate={"LaunchTemplateId": "lt-0123456789abcdef0"})
    with refused("ValidationError", text="either launchTemplateId or LaunchTemplateName"):
        fleet.create("two-templates", LaunchTemplate={**fleet.template, "LaunchTemplateName": "groups"})


@pytest.mark.fact("A group is refused whose template names no image, or one that does not exist",
                  autoscaling_guide("ts-as-launch-template"))  # fmt: skip
def test_template_has_to_name_an_image(fleet: Fleet) -> None:
    for name, image in (("no-image", {}), ("unknown-image", {"ImageId": "ami-0123456789abcdef0"})):
        data = {"InstanceType": "t3.micro", **image}
        fleet.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)

        with refused("ValidationError", text="You must use a valid fully-formed launch template"):
            fleet.create(name, LaunchTemplate={"LaunchTemplateName": name})


@pytest.mark.fact("A group is refused whose template names an instance profile that does not exist",
                  report("hashicorp/terraform-provider-aws", 4769))  # fmt: skip
def test_profile_of_the_template_has_to_exist(fleet: Fleet) -> None:
    template = fleet.template_with_profile("unknown-profile")

    with refused(
        "ValidationError",
        text="You must use a valid fully-formed launch template. Value (unknown-profile) for parameter "
        "iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
    ):
        fleet.create("unknown-profile", LaunchTemplate=template)


@pytest.mark.fact("A launch whose instance profile was deleted fails, and leaves no instance",
                  autoscaling_guide("ts-as-launch-template"))  # fmt: skip
@pytest.mark.parametrize("source", ["template", "configuration"])
def test_launch_with_a_deleted_profile_leaves_no_instance(fleet: Fleet, source: str) -> None:
    name, iam = f"deleted-profile-{source}", fleet.cloud.client("iam")
    iam.create_instance_profile(InstanceProfileName=name)
    if source == "template":
        fleet.create(name, LaunchTemplate=fleet.template_with_profile(name))
    else:
        fleet.asg.create_launch_configuration(
            LaunchConfigurationName=name,
            ImageId=fleet.cloud.seed_image(),
            InstanceType="t3.micro",
            IamInstanceProfile=name,
        )
        fleet.create(name, LaunchTemplate=None, LaunchConfigurationName=name)
    iam.delete_instance_profile(InstanceProfileName=name)
    fleet.asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)

    def activities() -> list[dict[str, Any]]:
        return list(fleet.asg.describe_scaling_activities(AutoScalingGroupName=name)["Activities"])

    wait_until(lambda: bool(activities()), "an activity")
    assert {each["StatusCode"] for each in activities()} == {"Failed"}
    assert f"Value ({name}) for parameter iamInstanceProfile.name is invalid." in activities()[0]["StatusMessage"]
    launched = [{"Name": "tag:aws:autoscaling:groupName", "Values": [name]}]
    assert fleet.ec2.describe_instances(Filters=launched)["Reservations"] == []


@pytest.mark.fact("A launch of a version that was deleted fails, and is reported as a failed activity",
                  autoscaling_guide("as-verify-scaling-activity"))  # fmt: skip
def test_launch_of_a_deleted_version_fails(fleet: Fleet) -> None:
    data = {"ImageId": fleet.cloud.seed_image(), "InstanceType": "t3.micro"}
    made = fleet.ec2.create_launch_template_version(**fleet.template, LaunchTemplateData=data)["LaunchTemplateVersion"]
    version = str(made["VersionNumber"])
    fleet.create("deleted-version", LaunchTemplate={**fleet.template, "Version": version})
    fleet.ec2.delete_launch_template_versions(**fleet.template, Versions=[version])
    fleet.asg.set_desired_capacity(AutoScalingGroupName="deleted-version", DesiredCapacity=1)

    def statuses() -> set[str]:
        answer = fleet.asg.describe_scaling_activities(AutoScalingGroupName="deleted-version")
        return {activity["StatusCode"] for activity in answer["Activities"]}

    wait_until(lambda: bool(statuses()), "an activity")
    assert statuses() == {"Failed"}


@pytest.mark.fact("Scaling activities are filtered by status and time, and by nothing else",
                  autoscaling("DescribeScalingActivities"))  # fmt: skip
def test_activities_are_filtered(fleet: Fleet) -> None:
    fleet.create("filtered", 1)

    def found(**filters: str) -> int:
        wanted = [{"Name": name, "Values": [value]} for name, value in filters.items()]
        answer = fleet.asg.describe_scaling_activities(AutoScalingGroupName="filtered", Filters=wanted)
        return len(answer["Activities"])

    wait_until(lambda: found(Status="Successful") == 1, "an activity")
    assert found(Status="Failed") == 0
    assert found(StartTimeLowerBound="2020-01-01T00:00:00Z") == 1
    assert found(StartTimeUpperBound="2020-01-01T00:00:00Z") == 0
    with refused("ValidationError", 400, "Filter type Cause is not correct"):
        found(Cause="x")


@pytest.mark.fact("A group needs a launch template, launch configuration, instance or mixed instances policy",
                  autoscaling("CreateAutoScalingGroup"))  # fmt: skip
def test_group_needs_a_launch_source(fleet: Fleet) -> None:
    with refused("ValidationError", text="Valid requests must contain either LaunchTemplate"):
        fleet.create("sourceless", LaunchTemplate=None)


@pytest.mark.fact("A launch configuration that does not exist is refused", autoscaling("CreateAutoScalingGroup"))
@pytest.mark.fact("A launch configuration cannot be replaced", autoscaling("CreateLaunchConfiguration"))
@pytest.mark.fact("A launch configuration in use cannot be deleted", autoscaling("DeleteLaunchConfiguration"))
def test_launch_configurations(fleet: Fleet) -> None:
    request = {"LaunchConfigurationName": "lc", "ImageId": fleet.cloud.seed_image(), "InstanceType": "t3.micro"}
    fleet.asg.create_launch_configuration(**request)
    fleet.create("configured", desired=1, LaunchTemplate=None, LaunchConfigurationName="lc")

    with refused("ValidationError", text="Launch configuration name not found"):
        fleet.create("unconfigured", LaunchTemplate=None, LaunchConfigurationName="none")
    with refused("AlreadyExists"):
        fleet.asg.create_launch_configuration(**request)
    with refused("ResourceInUse", text="Cannot delete launch configuration lc"):
        fleet.asg.delete_launch_configuration(LaunchConfigurationName="lc")
    with refused("ValidationError", text="Launch configuration name not found"):
        fleet.asg.delete_launch_configuration(LaunchConfigurationName="none")


@pytest.mark.fact("A launch template takes the place of a group's launch configuration",
                  autoscaling_guide("migrate-to-launch-templates"))  # fmt: skip
def test_template_replaces_the_launch_configuration(fleet: Fleet) -> None:
    image = fleet.cloud.seed_image()
    fleet.asg.create_launch_configuration(LaunchConfigurationName="old", ImageId=image, InstanceType="t3.micro")
    fleet.create("migrated", LaunchTemplate=None, LaunchConfigurationName="old")
    fleet.asg.update_auto_scaling_group(AutoScalingGroupName="migrated", LaunchTemplate=fleet.template)
    fleet.asg.delete_launch_configuration(LaunchConfigurationName="old")

    assert "LaunchConfigurationName" not in fleet.group("migrated")


@pytest.mark.fact("Instances of a mixed instances policy are of the first override's type, by default",
                  autoscaling("InstancesDistribution"))  # fmt: skip
def test_overrides_choose_the_instance_type(fleet: Fleet) -> None:
    mixed = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {**fleet.template, "Version": "$Latest"},
            "Overrides": [{"InstanceType": "m5.large"}, {"InstanceType": "m5.xlarge"}],
        }
    }
    fleet.create("mixed", desired=1, LaunchTemplate=None, MixedInstancesPolicy=mixed)

    assert {each["InstanceType"] for each in fleet.group("mixed")["Instances"]} == {"m5.large"}


@pytest.mark.fact("An update of other settings keeps the mixed instances policy", autoscaling("UpdateAutoScalingGroup"))
def test_update_keeps_the_mixed_instances_policy(fleet: Fleet) -> None:
    mixed = {"LaunchTemplate": {"LaunchTemplateSpecification": {**fleet.template, "Version": "$Latest"}}}
    fleet.create("mixed-kept", LaunchTemplate=None, MixedInstancesPolicy=mixed)
    fleet.asg.update_auto_scaling_group(AutoScalingGroupName="mixed-kept", MaxSize=2)

    assert "MixedInstancesPolicy" in fleet.group("mixed-kept")


# Sizes


@pytest.mark.fact("MinSize may not exceed MaxSize", autoscaling("CreateAutoScalingGroup"))
@pytest.mark.fact("The desired capacity lies between MinSize and MaxSize", autoscaling("CreateAutoScalingGroup"))
def test_sizes_agree(fleet: Fleet) -> None:
    with refused("ValidationError", text="Max bound, 1, must be greater than or equal to min bound, 2"):
        fleet.create("sizes", desired=1, MinSize=2, MaxSize=1)
    with refused("ValidationError", text="Desired capacity:3 must be between the specified min size:1 and max size:2"):
        fleet.create("sizes", desired=3, MinSize=1, MaxSize=2)
    fleet.create("sizes", MaxSize=2)
    with refused("ValidationError", text="Max bound, 2, must be greater than or equal to min bound, 5"):
        fleet.asg.update_auto_scaling_group(AutoScalingGroupName="sizes", MinSize=5)

    assert fleet.group("sizes")["MinSize"] == 0


@pytest.mark.fact("SetDesiredCapacity is held to the group's sizes", autoscaling("SetDesiredCapacity"))
def test_desired_capacity_is_within_the_sizes(fleet: Fleet) -> None:
    fleet.create("bounds", MaxSize=2)

    with refused("ValidationError", text="above max value 2"):
        fleet.asg.set_desired_capacity(AutoScalingGroupName="bounds", DesiredCapacity=3)


@pytest.mark.fact("The cooldown is 300 seconds by default, and may be zero", autoscaling("CreateAutoScalingGroup"))
@pytest.mark.fact("The health check grace period is 0 by default", autoscaling("CreateAutoScalingGroup"))
def test_defaults(fleet: Fleet) -> None:
    fleet.create("defaults")
    fleet.create("no-cooldown", DefaultCooldown=0)

    assert (fleet.group("defaults")["DefaultCooldown"], fleet.group("no-cooldown")["DefaultCooldown"]) == (300, 0)
    assert fleet.group("defaults")["HealthCheckGracePeriod"] == 0


@pytest.mark.fact("SetDesiredCapacity with HonorCooldown is refused during the cooldown",
                  autoscaling("SetDesiredCapacity"))  # fmt: skip
def test_cooldown_can_be_honored(fleet: Fleet) -> None:
    fleet.create("cooldown", desired=1)

    with refused("ScalingActivityInProgress"):
        fleet.asg.set_desired_capacity(AutoScalingGroupName="cooldown", DesiredCapacity=2, HonorCooldown=True)
    fleet.asg.set_desired_capacity(AutoScalingGroupName="cooldown", DesiredCapacity=2)


# Names, places and neighbours


@pytest.mark.fact("A name is used once", autoscaling("CreateAutoScalingGroup"))
@pytest.mark.fact("A name has no colon", autoscaling("CreateAutoScalingGroup"))
def test_names(fleet: Fleet) -> None:
    fleet.create("name")

    with refused("AlreadyExists"):
        fleet.create("name")
    with refused("ValidationError"):
        fleet.create("na:me")


@pytest.mark.fact("A group needs zones or subnets", autoscaling("CreateAutoScalingGroup"))
@pytest.mark.fact("Zones and subnets that do not exist are refused", autoscaling("CreateAutoScalingGroup"))
@pytest.mark.fact("Zones given beside subnets are the subnets' own", autoscaling("CreateAutoScalingGroup"))
def test_places_exist_and_agree(fleet: Fleet) -> None:
    subnets = fleet.ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ZONES[:1]}])["Subnets"]

    with refused("ValidationError", text="At least one Availability Zone or VPC Subnet is required"):
        fleet.create("nowhere", AvailabilityZones=None)
    with refused("ValidationError"):
        fleet.create("nowhere", AvailabilityZones=["eu-west-1z"])
    with refused("ValidationError", text="subnet-0123456789abcdef0"):
        fleet.create("nowhere", AvailabilityZones=None, VPCZoneIdentifier="subnet-0123456789abcdef0")
    with refused("ValidationError", text="do not match"):
        fleet.create("nowhere", AvailabilityZones=ZONES[1:], VPCZoneIdentifier=subnets[0]["SubnetId"])


@pytest.mark.fact("Blanks may follow the commas between subnets", autoscaling("CreateAutoScalingGroup"))
def test_subnets_may_be_separated_by_blanks(fleet: Fleet) -> None:
    subnets = [each["SubnetId"] for each in fleet.ec2.describe_subnets()["Subnets"]][:2]
    fleet.create("blanks", desired=2, AvailabilityZones=None, VPCZoneIdentifier=", ".join(subnets))
    fleet.asg.update_auto_scaling_group(AutoScalingGroupName="blanks", VPCZoneIdentifier=f"{subnets[1]} , {subnets[0]}")

    places = {fleet.cloud.instance(each)["SubnetId"] for each in fleet.instances("blanks")}
    assert places == set(subnets)


@pytest.mark.fact("Instances are spread over the zones of a group without subnets",
                  autoscaling_guide("ec2-auto-scaling-availability-zone-balanced"))  # fmt: skip
def test_instances_spread_over_the_zones(fleet: Fleet) -> None:
    fleet.create("spread", desired=4)
    zones = sorted(each["AvailabilityZone"] for each in fleet.group("spread")["Instances"])

    assert zones == sorted(ZONES * 2)


@pytest.mark.fact("Target groups that do not exist are refused", autoscaling("AttachLoadBalancerTargetGroups"))
def test_target_groups_have_to_exist(fleet: Fleet) -> None:
    text = "Provided Target Groups may not be valid. Please ensure they exist and try again."
    with refused("ValidationError", text=text):
        fleet.create("targets", TargetGroupARNs=[NOWHERE])
    fleet.create("targets")
    with refused("ValidationError", text=text):
        fleet.asg.attach_load_balancer_target_groups(AutoScalingGroupName="targets", TargetGroupARNs=[NOWHERE])


@pytest.mark.fact("Classic load balancers that do not exist are refused", autoscaling("AttachLoadBalancers"))
def test_load_balancers_have_to_exist(fleet: Fleet) -> None:
    with refused("ValidationError", text="Provided Load Balancers may not be valid"):
        fleet.create("balanced", LoadBalancerNames=["none"])


@pytest.mark.fact("Health check types are EC2, EBS, ELB and VPC_LATTICE", autoscaling("CreateAutoScalingGroup"))
def test_health_check_types(fleet: Fleet) -> None:
    with refused("ValidationError"):
        fleet.create("checked", HealthCheckType="HTTP")
    fleet.create("checked", HealthCheckType="EC2,ELB")


ON_A_GROUP: dict[str, dict[str, Any]] = {
    "update_auto_scaling_group": {"MaxSize": 1},
    "delete_auto_scaling_group": {},
    "set_desired_capacity": {"DesiredCapacity": 1},
    "start_instance_refresh": {},
    "describe_instance_refreshes": {},
    "suspend_processes": {},
    "put_lifecycle_hook": {"LifecycleHookName": "x", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"},
    "describe_lifecycle_hooks": {},
    "put_scaling_policy": {"PolicyName": "x", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1},
    "put_scheduled_update_group_action": {"ScheduledActionName": "x", "MaxSize": 1},
    "put_warm_pool": {},
    "describe_warm_pool": {},
    "enable_metrics_collection": {"Granularity": "1Minute"},
}


@pytest.mark.fact(
    "A group that does not exist is refused by each action on it", autoscaling_guide("CHAP_Troubleshooting")
)
def test_unknown_groups_are_refused(fleet: Fleet) -> None:
    for action, arguments in ON_A_GROUP.items():
        with refused("ValidationError", text="AutoScalingGroup name not found"):
            getattr(fleet.asg, action)(AutoScalingGroupName="none", **arguments)


@pytest.mark.fact("DescribeAutoScalingGroups leaves out names that do not exist",
                  autoscaling("DescribeAutoScalingGroups"))  # fmt: skip
def test_describing_an_unknown_group_is_no_error(fleet: Fleet) -> None:
    assert fleet.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["none"])["AutoScalingGroups"] == []


# Pages


LARGEST_PAGES = {
    "describe_auto_scaling_groups": ("DescribeAutoScalingGroups", 100),
    "describe_auto_scaling_instances": ("DescribeAutoScalingInstances", 50),
    "describe_launch_configurations": ("DescribeLaunchConfigurations", 100),
    "describe_policies": ("DescribePolicies", 100),
    "describe_scaling_activities": ("DescribeScalingActivities", 100),
    "describe_scheduled_actions": ("DescribeScheduledActions", 100),
    "describe_tags": ("DescribeTags", 100),
}


@pytest.mark.parametrize(
    ("action", "largest"),
    [
        pytest.param(action, largest, marks=pytest.mark.fact(f"{name} has 1 to {largest} records a page",
                                                             autoscaling(name)))
        for action, (name, largest) in LARGEST_PAGES.items()
    ],
)  # fmt: skip
def test_pages_have_a_largest_size(fleet: Fleet, action: str, largest: int) -> None:
    getattr(fleet.asg, action)(MaxRecords=largest)
    for size in (0, largest + 1):
        with refused("ValidationError", text="maxRecords"):
            getattr(fleet.asg, action)(MaxRecords=size)


@pytest.mark.fact("Pages follow each other by NextToken", autoscaling("DescribeAutoScalingGroups"))
@pytest.mark.fact("A token that no page gave is refused", autoscaling("DescribeAutoScalingGroups"))
def test_pages_follow_each_other(fleet: Fleet) -> None:
    for number in range(3):
        fleet.create(f"page-{number}", Tags=[{"Key": "page", "Value": str(number), "PropagateAtLaunch": False}])

    def tags(**options: Any) -> Any:
        return fleet.asg.describe_tags(Filters=[{"Name": "key", "Values": ["page"]}], MaxRecords=2, **options)

    first = tags()
    second = tags(NextToken=first["NextToken"])

    assert [tag["Value"] for tag in (*first["Tags"], *second["Tags"])] == ["0", "1", "2"]
    assert "NextToken" not in second
    with refused("InvalidNextToken"):
        tags(NextToken="none")


@pytest.mark.fact("Filters that do not exist are refused", autoscaling("Filter"))
@pytest.mark.fact("Groups are found by tag", autoscaling("Filter"))
def test_filters(fleet: Fleet) -> None:
    for name in ("here", "there"):
        fleet.create(name, Tags=[{"Key": "place", "Value": name, "PropagateAtLaunch": False}])
    by_tag = fleet.asg.describe_auto_scaling_groups(Filters=[{"Name": "tag:place", "Values": ["here"]}])

    assert [each["AutoScalingGroupName"] for each in by_tag["AutoScalingGroups"]] == ["here"]
    for describe in (fleet.asg.describe_auto_scaling_groups, fleet.asg.describe_tags):
        with refused("ValidationError"):
            describe(Filters=[{"Name": "colour", "Values": ["red"]}])


# Tags and processes


@pytest.mark.fact("Tag keys that begin with aws: are reserved", autoscaling_guide("ec2-auto-scaling-tagging"))
@pytest.mark.fact("A group has at most 50 tags", autoscaling_guide("ec2-auto-scaling-tagging"))
@pytest.mark.fact("The only type of a tag's resource is auto-scaling-group", autoscaling("Tag"))
@pytest.mark.fact("Tags of a group that does not exist are refused", autoscaling("CreateOrUpdateTags"))
def test_tags_are_limited(fleet: Fleet) -> None:
    fleet.create("tagged")

    def tag(*keys: str, name: str = "tagged", kind: str = "auto-scaling-group") -> None:
        fleet.asg.create_or_update_tags(
            Tags=[
                {"ResourceId": name, "ResourceType": kind, "Key": key, "Value": "", "PropagateAtLaunch": False}
                for key in keys
            ]
        )

    tag(*map(str, range(50)))
    tag("1", "2")
    with refused("LimitExceeded"):
        tag("50")
    with refused("ValidationError"):
        tag("aws:mine")
    with refused("ValidationError"):
        tag("1", kind="instance")
    with refused("ValidationError", text="AutoScalingGroup not found - AutoScaling Group none not found"):
        tag("1", name="none")


@pytest.mark.fact("DescribeTags finds those that are propagated at launch", autoscaling("Filter"))
def test_tags_are_found_by_propagation(fleet: Fleet) -> None:
    tags = [
        {"Key": "yes", "Value": "", "PropagateAtLaunch": True},
        {"Key": "no", "Value": "", "PropagateAtLaunch": False},
    ]
    fleet.create("propagating", Tags=tags)
    filters = [
        {"Name": "auto-scaling-group", "Values": ["propagating"]}, {"Name": "propagate-at-launch", "Values": ["true"]},
    ]  # fmt: skip

    assert [tag["Key"] for tag in fleet.asg.describe_tags(Filters=filters)["Tags"]] == ["yes"]


@pytest.mark.fact("Processes that do not exist cannot be suspended", autoscaling("SuspendProcesses"))
@pytest.mark.fact("All processes are suspended where none is named", autoscaling("SuspendProcesses"))
def test_processes(fleet: Fleet) -> None:
    fleet.create("suspended")
    with refused("ValidationError"):
        fleet.asg.suspend_processes(AutoScalingGroupName="suspended", ScalingProcesses=["Sleep"])
    fleet.asg.suspend_processes(AutoScalingGroupName="suspended")

    assert len(fleet.group("suspended")["SuspendedProcesses"]) == 9


# Policies, scheduled actions, hooks


@pytest.mark.fact("ExecutePolicy is held to MaxSize and MinSize",
                  autoscaling_guide("as-scaling-simple-step"))  # fmt: skip
@pytest.mark.fact("Policies of one name in two groups are two", autoscaling("PutScalingPolicy"))
def test_policies_are_held_to_the_sizes(fleet: Fleet) -> None:
    for name, amount in (("grows", 10), ("shrinks", -10)):
        fleet.create(name, desired=1)
        fleet.asg.put_scaling_policy(
            AutoScalingGroupName=name, PolicyName="p", AdjustmentType="ChangeInCapacity", ScalingAdjustment=amount
        )
    for name in ("grows", "shrinks"):
        fleet.asg.execute_policy(AutoScalingGroupName=name, PolicyName="p")

    assert [fleet.group(name)["DesiredCapacity"] for name in ("grows", "shrinks")] == [4, 0]


@pytest.mark.fact("A percentage changes the capacity by one at least, and is rounded towards zero",
                  autoscaling_guide("as-scaling-simple-step"))  # fmt: skip
def test_percentages_are_rounded(fleet: Fleet) -> None:
    fleet.create("percents", MaxSize=5)
    policy = {"AutoScalingGroupName": "percents", "PolicyName": "p"}
    for percent, capacity in ((10, 4), (60, 4), (-10, 2), (-60, 2), (-70, 1)):
        fleet.asg.set_desired_capacity(AutoScalingGroupName="percents", DesiredCapacity=3)
        fleet.asg.put_scaling_policy(**policy, AdjustmentType="PercentChangeInCapacity", ScalingAdjustment=percent)
        fleet.asg.execute_policy(**policy)

        assert fleet.group("percents")["DesiredCapacity"] == capacity


@pytest.mark.fact("A step policy follows the step of the breach", autoscaling("ExecutePolicy"))
@pytest.mark.fact("A breach without a step is refused", autoscaling("ExecutePolicy"))
def test_step_policies(fleet: Fleet) -> None:
    fleet.create("steps", desired=1)
    steps = [
        {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 2},
    ]
    policy = {"AutoScalingGroupName": "steps", "PolicyName": "p"}
    fleet.asg.put_scaling_policy(
        **policy, PolicyType="StepScaling", AdjustmentType="ChangeInCapacity", StepAdjustments=steps
    )
    fleet.asg.execute_policy(**policy, MetricValue=60.0, BreachThreshold=50.0)

    assert fleet.group("steps")["DesiredCapacity"] == 3
    with refused("ValidationError"):
        fleet.asg.execute_policy(**policy, MetricValue=40.0, BreachThreshold=50.0)


@pytest.mark.fact("A policy lacks nothing that its type requires", autoscaling("PutScalingPolicy"))
def test_incomplete_policies_are_refused(fleet: Fleet) -> None:
    fleet.create("policies")
    incomplete: list[dict[str, Any]] = [
        {"PolicyType": "SimpleScaling", "AdjustmentType": "ChangeInCapacity"},
        {"PolicyType": "SimpleScaling", "ScalingAdjustment": 1},
        {"PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity"},
        {"PolicyType": "TargetTrackingScaling"},
        {"PolicyType": "Fast"},
        {"AdjustmentType": "Double", "ScalingAdjustment": 1},
    ]
    for settings in incomplete:
        with refused("ValidationError"):
            fleet.asg.put_scaling_policy(AutoScalingGroupName="policies", PolicyName="p", **settings)


@pytest.mark.fact("Target tracking creates its alarms", autoscaling("PutScalingPolicy"),
                  wrong="the policy is recorded, without alarms")  # fmt: skip
def test_target_tracking_has_alarms(fleet: Fleet) -> None:
    fleet.create("tracking")
    target = {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50.0
    }  # fmt: skip
    answer = fleet.asg.put_scaling_policy(
        AutoScalingGroupName="tracking", PolicyName="p", PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration=target,
    )  # fmt: skip

    assert answer["Alarms"]


@pytest.mark.fact("A scheduled action sets a size, and does not start in the past",
                  autoscaling("PutScheduledUpdateGroupAction"))  # fmt: skip
@pytest.mark.fact("Scheduled actions of one name in two groups are two",
                  autoscaling("PutScheduledUpdateGroupAction"))  # fmt: skip
def test_scheduled_actions(fleet: Fleet) -> None:
    for name in ("morning", "evening"):
        fleet.create(name)
        action = {"AutoScalingGroupName": name, "ScheduledActionName": "s", "Recurrence": "0 8 * * *"}
        with refused("ValidationError"):
            fleet.asg.put_scheduled_update_group_action(**action)
        with refused("ValidationError"):
            fleet.asg.put_scheduled_update_group_action(
                **action, MaxSize=1, StartTime=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
            )
        fleet.asg.put_scheduled_update_group_action(**action, MaxSize=1)
    fleet.asg.delete_scheduled_action(AutoScalingGroupName="morning", ScheduledActionName="s")

    left = fleet.asg.describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    assert [each["AutoScalingGroupName"] for each in left] == ["evening"]


@pytest.mark.fact("Lifecycle hooks can be given at creation", autoscaling("CreateAutoScalingGroup"))
def test_hooks_given_at_creation(fleet: Fleet) -> None:
    hook = {"LifecycleHookName": "hook", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
    fleet.create("hooked", LifecycleHookSpecificationList=[hook])
    (found,) = fleet.asg.describe_lifecycle_hooks(AutoScalingGroupName="hooked")["LifecycleHooks"]

    assert (found["LifecycleHookName"], found["DefaultResult"]) == ("hook", "ABANDON")


@pytest.mark.fact("A group that is refused for one of its hooks is not created", autoscaling("CreateAutoScalingGroup"))
def test_group_of_a_bad_hook_is_not_created(fleet: Fleet) -> None:
    good = {"LifecycleHookName": "good", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
    for bad in ({"HeartbeatTimeout": 7201}, {"DefaultResult": "PERHAPS"}, {"LifecycleTransition": "none"}):
        with refused("ValidationError"):
            fleet.create("unhooked", LifecycleHookSpecificationList=[good, {**good, "LifecycleHookName": "bad", **bad}])

    assert fleet.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["unhooked"])["AutoScalingGroups"] == []


@pytest.mark.fact("A hook keeps its role and target, also when it is put again without them",
                  autoscaling("PutLifecycleHook"))  # fmt: skip
@pytest.mark.fact("A hook's timeout is 30 to 7200 seconds", autoscaling("PutLifecycleHook"))
@pytest.mark.fact("A new hook needs a transition", autoscaling("PutLifecycleHook"))
def test_hooks_are_as_they_were_put(fleet: Fleet) -> None:
    fleet.create("hooks")
    hook = {"AutoScalingGroupName": "hooks", "LifecycleHookName": "hook"}
    with refused("ValidationError"):
        fleet.asg.put_lifecycle_hook(**hook)
    given = {"RoleARN": "arn:aws:iam::123456789012:role/hooks", "NotificationTargetARN": "arn:aws:sqs:eu-west-1:1:q"}
    fleet.asg.put_lifecycle_hook(**hook, **given, LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING")
    fleet.asg.put_lifecycle_hook(**hook, HeartbeatTimeout=60)
    with refused("ValidationError"):
        fleet.asg.put_lifecycle_hook(**hook, HeartbeatTimeout=7201)
    (found,) = fleet.asg.describe_lifecycle_hooks(AutoScalingGroupName="hooks")["LifecycleHooks"]

    assert {name: found[name] for name in given} == given
    assert (found["HeartbeatTimeout"], found["GlobalTimeout"]) == (60, 6000)


@pytest.mark.fact("Termination policies that do not exist are refused", autoscaling("CreateAutoScalingGroup"))
def test_termination_policies(fleet: Fleet) -> None:
    with refused("ValidationError"):
        fleet.create("terminating", TerminationPolicies=["Random"])
    fleet.create("terminating", TerminationPolicies=["OldestInstance", "Default"])


@pytest.mark.fact("An instance waits for the lifecycle hook of its launch", autoscaling_guide("lifecycle-hooks"),
                  wrong="hooks are recorded only")  # fmt: skip
def test_hooks_hold_instances(fleet: Fleet) -> None:
    hook = {"LifecycleHookName": "wait", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
    fleet.create("held", LifecycleHookSpecificationList=[hook])
    fleet.asg.set_desired_capacity(AutoScalingGroupName="held", DesiredCapacity=1)
    wait_until(lambda: bool(fleet.group("held")["Instances"]), "an instance")

    assert fleet.group("held")["Instances"][0]["LifecycleState"] == "Pending:Wait"


@pytest.mark.fact("Deleting a group deletes its policies, scheduled actions and hooks",
                  autoscaling("DeleteAutoScalingGroup"))  # fmt: skip
def test_group_takes_its_policies_with_it(fleet: Fleet) -> None:
    group = {"AutoScalingGroupName": "brief"}
    fleet.create("brief")
    fleet.asg.put_scaling_policy(**group, PolicyName="p", AdjustmentType="ExactCapacity", ScalingAdjustment=1)
    fleet.asg.put_scheduled_update_group_action(**group, ScheduledActionName="brief", MaxSize=1)
    fleet.asg.delete_auto_scaling_group(**group)
    fleet.create("brief")

    assert fleet.asg.describe_policies(**group)["ScalingPolicies"] == []
    assert fleet.asg.describe_scheduled_actions(**group)["ScheduledUpdateGroupActions"] == []
