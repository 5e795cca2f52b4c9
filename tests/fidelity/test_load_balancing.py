"""Facts of load balancers, target groups and targets."""

import pytest

from tests.fidelity.balancing import Balancing
from tests.fidelity.cases import case
from tests.fidelity.refusals import refused
from tests.fidelity.sources import DOCS, elb, elb_guide
from tests.localcloud.load_balancer_fakes import wait_until
from tests.localcloud.server_support import Server

SERVICE = "Load balancing"
CLI = f"[CLI, create-load-balancer]({DOCS}/cli/latest/reference/elbv2/create-load-balancer.html)"
UNKNOWN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:{}/unknown/0123456789abcdef"
DELAY = "deregistration_delay.timeout_seconds"


@pytest.fixture(scope="module")
def site(cloud: Server) -> Balancing:
    return Balancing(cloud)


# Load balancers


@pytest.mark.fact("CreateLoadBalancer with the same settings returns the existing one", elb("CreateLoadBalancer"))
def test_a_load_balancer_is_created_once(site: Balancing) -> None:
    assert site.balancer("once") == site.balancer("once")


@pytest.mark.fact("CreateLoadBalancer with a name in use and other settings is refused", elb("CreateLoadBalancer"))
def test_names_of_load_balancers_are_unique(site: Balancing) -> None:
    site.balancer("unique")

    with refused("DuplicateLoadBalancerName", text="exists, but with different settings"):
        site.balancer("unique", Scheme="internal")


@pytest.mark.parametrize(
    "name",
    [
        case("Load balancers' names have 32 characters", elb("CreateLoadBalancer"), "n" * 33),
        case("Load balancers' names have no underscore", elb("CreateLoadBalancer"), "under_score"),
        case("Load balancers' names end with no hyphen", elb("CreateLoadBalancer"), "ends-"),
        case("Load balancers' names do not begin with `internal-`", elb("CreateLoadBalancer"), "internal-x"),
    ],
)
def test_names_of_load_balancers_are_checked(site: Balancing, name: str) -> None:
    with refused("ValidationError", text="The load balancer name"):
        site.balancer(name)


@pytest.mark.fact("An application load balancer needs subnets in two zones", elb("CreateLoadBalancer"))
def test_two_zones_are_needed(site: Balancing) -> None:
    with refused("ValidationError", text="At least two subnets in two different Availability Zones must be specified"):
        site.balancer("one-zone", Subnets=site.subnets[:1])


@pytest.mark.fact("A load balancer has one subnet in each zone", elb("CreateLoadBalancer"))
def test_zones_are_distinct(site: Balancing) -> None:
    ec2 = site.server.client("ec2")
    zone = ec2.describe_subnets(SubnetIds=site.subnets[:1])["Subnets"][0]["AvailabilityZone"]
    other = ec2.create_subnet(VpcId=site.vpc, CidrBlock="172.31.200.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]

    with refused("InvalidConfigurationRequest", text="multiple subnets in the same Availability Zone"):
        site.balancer("same-zone", Subnets=[*site.subnets, other])


@pytest.mark.fact("Unknown subnets are refused", elb("CreateLoadBalancer"))
def test_unknown_subnets_are_refused(site: Balancing) -> None:
    with refused("SubnetNotFound"):
        site.balancer("nowhere", Subnets=[site.subnets[0], "subnet-0123456789abcdef0"])


@pytest.mark.fact("Unknown security groups are refused", elb("CreateLoadBalancer"))
def test_unknown_security_groups_are_refused(site: Balancing) -> None:
    with refused("InvalidSecurityGroup"):
        site.balancer("no-group", SecurityGroups=["sg-0123456789abcdef0"])


@pytest.mark.fact(
    "A load balancer is internet-facing and an application load balancer by default", elb("CreateLoadBalancer")
)
@pytest.mark.fact("A load balancer without security groups has its VPC's default one", CLI)
def test_load_balancers_have_defaults(site: Balancing) -> None:
    (found,) = site.elb.describe_load_balancers(LoadBalancerArns=[site.balancer("plain")])["LoadBalancers"]
    filters = [{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [site.vpc]}]
    (default,) = site.server.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]

    assert (found["Scheme"], found["Type"]) == ("internet-facing", "application")
    assert found["SecurityGroups"] == [default["GroupId"]]


@pytest.mark.fact("A load balancer with deletion protection is not deleted", elb("DeleteLoadBalancer"))
def test_deletion_protection_protects(site: Balancing) -> None:
    arn = site.balancer("protected")
    for enabled in ("true", "false"):
        site.elb.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": enabled}]
        )
        if enabled == "true":
            with refused("OperationNotPermitted", text="cannot be deleted because deletion protection is enabled"):
                site.elb.delete_load_balancer(LoadBalancerArn=arn)
    site.elb.delete_load_balancer(LoadBalancerArn=arn)


@pytest.mark.fact("DeleteLoadBalancer of one that does not exist succeeds", elb("DeleteLoadBalancer"))
def test_deleting_twice_succeeds(site: Balancing) -> None:
    site.elb.delete_load_balancer(LoadBalancerArn=UNKNOWN.format("loadbalancer/app"))


@pytest.mark.fact(
    "Deleting a load balancer deletes its listeners and frees its target groups", elb("DeleteLoadBalancer")
)
def test_listeners_go_with_their_load_balancer(site: Balancing) -> None:
    balancer, group = site.balancer("gone"), site.group("gone")
    listener = site.listener(balancer, group)
    site.elb.delete_load_balancer(LoadBalancerArn=balancer)

    with refused("ListenerNotFound"):
        site.elb.describe_listeners(ListenerArns=[listener])
    site.elb.delete_target_group(TargetGroupArn=group)


@pytest.mark.fact(
    "DescribeLoadBalancers of an unknown name is refused, also beside a known one", elb("DescribeLoadBalancers")
)
def test_unknown_load_balancers_are_not_found(site: Balancing) -> None:
    site.balancer("known")

    with refused("LoadBalancerNotFound"):
        site.elb.describe_load_balancers(Names=["known", "unknown"])


@pytest.mark.fact("DescribeLoadBalancers answers in pages of PageSize", elb("DescribeLoadBalancers"))
@pytest.mark.fact("DescribeTargetGroups answers in pages of PageSize", elb("DescribeTargetGroups"))
def test_descriptions_come_in_pages(site: Balancing) -> None:
    for number in range(3):
        site.balancer(f"page-{number}")
        site.group(f"page-{number}")
    for action, key, name in (
        ("describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
        ("describe_target_groups", "TargetGroups", "TargetGroupName"),
    ):
        pages = list(site.elb.get_paginator(action).paginate(PaginationConfig={"PageSize": 2}))
        names = [each[name] for page in pages for each in page[key]]

        assert {len(page[key]) for page in pages[:-1]} == {2}
        assert len(names) == len(set(names))
        assert {"page-0", "page-1", "page-2"} <= set(names)


@pytest.mark.fact("A page has 400 load balancers at most", elb("DescribeLoadBalancers"))
def test_pages_are_bounded(site: Balancing) -> None:
    with refused("ValidationError"):
        site.elb.describe_load_balancers(PageSize=401)


@pytest.mark.fact("A load balancer's idle timeout is 60 s, and HTTP/2 is on, by default", elb("LoadBalancerAttribute"))
def test_attributes_of_load_balancers_have_defaults(site: Balancing) -> None:
    found = site.elb.describe_load_balancer_attributes(LoadBalancerArn=site.balancer("attributes"))["Attributes"]
    values = {each["Key"]: each["Value"] for each in found}

    assert (values["idle_timeout.timeout_seconds"], values["routing.http2.enabled"]) == ("60", "true")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        case("Unknown attributes of load balancers are refused", elb("LoadBalancerAttribute"), "no.such.key", "1"),
        case("An idle timeout is 1 to 4000 s", elb("LoadBalancerAttribute"), "idle_timeout.timeout_seconds", "4001"),
    ],
)
def test_attributes_of_load_balancers_are_checked(site: Balancing, key: str, value: str) -> None:
    arn = site.balancer("checked-attributes")

    with refused("ValidationError", text=key):
        site.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": value}])


@pytest.mark.fact("SetSecurityGroups answers with the groups", elb("SetSecurityGroups"))
def test_security_groups_are_replaced(site: Balancing) -> None:
    ec2 = site.server.client("ec2")
    group = ec2.create_security_group(GroupName="of-lb", Description="x", VpcId=site.vpc)["GroupId"]

    answer = site.elb.set_security_groups(LoadBalancerArn=site.balancer("regrouped"), SecurityGroups=[group])

    assert answer["SecurityGroupIds"] == [group]


# Target groups


@pytest.mark.fact("CreateTargetGroup with the same settings returns the existing one", elb("CreateTargetGroup"))
def test_a_target_group_is_created_once(site: Balancing) -> None:
    assert site.group("once", HealthCheckPath="/up") == site.group("once", HealthCheckPath="/up")


@pytest.mark.fact("CreateTargetGroup with a name in use and other settings is refused", elb("CreateTargetGroup"))
def test_names_of_target_groups_are_unique(site: Balancing) -> None:
    site.group("unique")

    with refused(
        "DuplicateTargetGroupName", text="A target group with the same name 'unique' exists, but with different"
    ):
        site.group("unique", Port=8080)


@pytest.mark.fact(
    "Target groups' names have 32 characters, no underscore, and no hyphen at their ends", elb("CreateTargetGroup")
)
def test_names_of_target_groups_are_checked(site: Balancing) -> None:
    for name in ("n" * 33, "under_score", "-begins", "ends-"):
        with refused("ValidationError"):
            site.group(name)


@pytest.mark.fact("A target group of an unknown VPC is refused", elb("CreateTargetGroup"))
def test_unknown_networks_are_refused(site: Balancing) -> None:
    with refused("ValidationError", text="The VPC ID 'vpc-0123456789abcdef0' is not found"):
        site.group("nowhere", VpcId="vpc-0123456789abcdef0")


@pytest.mark.parametrize(
    "settings",
    [
        case("Health checks are 5 to 300 s apart", elb("CreateTargetGroup"), {"HealthCheckIntervalSeconds": 301}),
        case(
            "A health check's timeout is 2 to 120 s",
            elb("CreateTargetGroup"),
            {"HealthCheckIntervalSeconds": 300, "HealthCheckTimeoutSeconds": 121},
        ),
        case("A healthy threshold is 2 to 10", elb("CreateTargetGroup"), {"HealthyThresholdCount": 11}),
        case("An unhealthy threshold is 2 to 10", elb("CreateTargetGroup"), {"UnhealthyThresholdCount": 11}),
        case(
            "A health check's timeout is shorter than its interval",
            elb_guide("target-group-health-checks"),
            {"HealthCheckIntervalSeconds": 5},
        ),
        case("A matcher admits 200 to 499", elb("Matcher"), {"Matcher": {"HttpCode": "200-500"}}),
    ],
)
def test_health_checks_are_checked(site: Balancing, settings: dict[str, object]) -> None:
    with refused("ValidationError"):
        site.group("checked", **settings)


@pytest.mark.fact("Health checks of instances cannot be disabled", elb("CreateTargetGroup"))
def test_health_checks_cannot_be_disabled(site: Balancing) -> None:
    with refused("InvalidConfigurationRequest", text="Health check enabled must be true"):
        site.group("disabled", HealthCheckEnabled=False)
    with refused("InvalidConfigurationRequest", text="Health check enabled must be true"):
        site.elb.modify_target_group(TargetGroupArn=site.group("enabled"), HealthCheckEnabled=False)


@pytest.mark.fact("ModifyTargetGroup that is refused changes nothing", elb("ModifyTargetGroup"))
def test_a_refused_change_of_a_target_group_changes_nothing(site: Balancing) -> None:
    arn = site.group("unchanged")
    with refused("ValidationError"):
        site.elb.modify_target_group(TargetGroupArn=arn, HealthCheckPath="/new", Matcher={"HttpCode": "600"})

    (found,) = site.elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
    assert (found["HealthCheckPath"], found["Matcher"]) == ("/", {"HttpCode": "200"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        case("Unknown attributes of target groups are refused", elb("TargetGroupAttribute"), "no.such.key", "1"),
        case("A deregistration delay is 0 to 3600 s", elb("TargetGroupAttribute"), DELAY, "3601"),
        case("A slow start takes 30 to 900 s", elb("TargetGroupAttribute"), "slow_start.duration_seconds", "29"),
        case(
            "Unknown routing algorithms are refused",
            elb("TargetGroupAttribute"),
            "load_balancing.algorithm.type",
            "best",
        ),
    ],
)
def test_attributes_of_target_groups_are_checked(site: Balancing, key: str, value: str) -> None:
    with refused("ValidationError", text=key):
        site.set_attribute(site.group("checked-attributes"), key, value)


@pytest.mark.fact("A deregistration delay may be 0 and 3600 s", elb("TargetGroupAttribute"))
@pytest.mark.parametrize("value", ["0", "3600"])
def test_the_least_and_the_longest_delay_are_accepted(site: Balancing, value: str) -> None:
    answer = site.set_attribute(site.group("bounds-of-delays"), DELAY, value)

    assert {"Key": DELAY, "Value": value} in answer


@pytest.mark.fact("The deregistration delay is 300 s by default", elb("TargetGroupAttribute"))
@pytest.mark.fact("ModifyTargetGroupAttributes answers with every attribute", elb("ModifyTargetGroupAttributes"))
def test_attributes_of_target_groups_have_defaults(site: Balancing) -> None:
    answer = site.set_attribute(site.group("attributes"), "stickiness.enabled", "true")
    values = {each["Key"]: each["Value"] for each in answer}

    assert (values["stickiness.enabled"], values["stickiness.type"], values[DELAY]) == ("true", "lb_cookie", "300")


@pytest.mark.fact("DescribeTargetGroups of an unknown name is refused", elb("DescribeTargetGroups"))
def test_unknown_target_groups_are_not_found(site: Balancing) -> None:
    with refused("TargetGroupNotFound"):
        site.elb.describe_target_groups(Names=["unknown"])


@pytest.mark.fact("A target group that a listener or rule forwards to is not deleted", elb("DeleteTargetGroup"))
def test_target_groups_in_use_are_not_deleted(site: Balancing) -> None:
    arn = site.group("in-use")
    site.listener(site.balancer("in-use"), arn)

    with refused("ResourceInUse", text="is currently in use by a listener or a rule"):
        site.elb.delete_target_group(TargetGroupArn=arn)


@pytest.mark.fact("A target group belongs to one load balancer at most", elb_guide("load-balancer-limits"))
def test_target_groups_have_one_load_balancer(site: Balancing) -> None:
    arn, other = site.group("shared"), site.balancer("shared-2")
    site.listener(site.balancer("shared-1"), arn)

    with refused("TargetGroupAssociationLimit"):
        site.listener(other, arn)


# Targets


@pytest.mark.fact("Unknown instances are not registered", elb("RegisterTargets"))
@pytest.mark.fact("RegisterTargets registers all targets or none", elb("RegisterTargets"))
def test_unknown_instances_are_not_registered(site: Balancing) -> None:
    arn, instance = site.group("strangers"), site.server.launch_running()["InstanceId"]
    with refused("InvalidTarget", text="do not exist: 'i-0123456789abcdef0'"):
        site.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}, {"Id": "i-0123456789abcdef0"}])

    assert site.health(arn) == []


@pytest.mark.fact("A group of instances takes no addresses", elb("TargetDescription"))
def test_addresses_are_no_instances(site: Balancing) -> None:
    with refused("ValidationError", text="Instance ID '172.31.0.9' is not valid"):
        site.elb.register_targets(TargetGroupArn=site.group("instances"), Targets=[{"Id": "172.31.0.9"}])


@pytest.mark.fact("An instance that does not run is not registered", elb("RegisterTargets"))
def test_stopped_instances_are_not_registered(site: Balancing) -> None:
    instance = site.server.launch_running()["InstanceId"]
    site.server.client("ec2").stop_instances(InstanceIds=[instance])
    site.server.wait_for_state(instance, "stopped")

    with refused("InvalidTarget", text="not in a running state"):
        site.elb.register_targets(TargetGroupArn=site.group("stopped"), Targets=[{"Id": instance}])


@pytest.mark.fact("An address outside the VPC needs the zone `all`", elb("TargetDescription"))
def test_addresses_elsewhere_name_their_zone(site: Balancing) -> None:
    arn = site.group("elsewhere", TargetType="ip")
    with refused("ValidationError", text="The Availability Zone is required for IP address '10.1.2.3'"):
        site.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "10.1.2.3"}])
    site.elb.register_targets(
        TargetGroupArn=arn, Targets=[{"Id": "10.1.2.3", "AvailabilityZone": "all"}, {"Id": "172.31.0.9"}]
    )

    assert [target[0] for target in site.health(arn)] == ["10.1.2.3", "172.31.0.9"]


@pytest.mark.fact("An address in the VPC, such as an instance's private one, needs no zone", elb("TargetDescription"))
def test_an_instances_address_is_a_target(site: Balancing) -> None:
    arn = site.group("own-address", TargetType="ip")
    address = site.server.launch_running()["PrivateIpAddress"]

    site.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": address}, {"Id": "172.31.250.9"}])

    assert [target[0] for target in site.health(arn)] == [address, "172.31.250.9"]


@pytest.mark.fact("An instance is registered with several ports, each a target of its own", elb("RegisterTargets"))
@pytest.mark.fact("A target with a port of its own is deregistered by id and port", elb("DeregisterTargets"))
def test_a_target_is_an_id_and_a_port(site: Balancing) -> None:
    arn, instance = site.group("ports", Port=81), site.server.launch_running()["InstanceId"]
    site.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}, {"Id": instance, "Port": 82}])
    registered = [target[1] for target in site.health(arn)]
    site.set_attribute(arn, DELAY, "0")
    site.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": instance, "Port": 82}])

    assert registered == [81, 82]
    assert [target[1] for target in site.health(arn)] == [81]


@pytest.mark.fact("A target that is not registered is unused", elb("TargetHealth"))
@pytest.mark.fact("DeregisterTargets of one that is not registered succeeds", elb("DeregisterTargets"))
def test_targets_that_are_not_registered_are_unused(site: Balancing) -> None:
    arn, instance = site.group("unregistered"), site.server.launch_running()["InstanceId"]
    site.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])

    assert site.health(arn, {"Id": instance}) == [(instance, 80, "unused", "Target.NotRegistered")]


@pytest.mark.fact("DescribeTargetHealth of an unknown instance is refused", elb("DescribeTargetHealth"))
def test_unknown_targets_have_no_health(site: Balancing) -> None:
    with refused("InvalidTarget"):
        site.health(site.group("no-health"), {"Id": "i-0123456789abcdef0"})


@pytest.mark.fact("A target of a group that no listener forwards to is unused", elb("TargetHealth"))
def test_targets_of_unused_groups_are_unused(site: Balancing) -> None:
    arn, instance = site.group("idle"), site.server.launch_running()["InstanceId"]
    site.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])

    assert site.health(arn) == [(instance, 80, "unused", "Target.NotInUse")]


@pytest.mark.fact(
    "A target without requests drains for the whole deregistration delay", elb_guide("edit-target-group-attributes")
)
@pytest.mark.fact("A target is unused once the deregistration delay is over", elb_guide("edit-target-group-attributes"))
def test_draining_lasts_for_the_deregistration_delay(site: Balancing) -> None:
    arn, instance = site.group("draining"), site.server.launch_running()["InstanceId"]
    site.listener(site.balancer("draining"), arn)
    site.set_attribute(arn, DELAY, "1")
    site.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])
    wait_until(lambda: site.health(arn) == [(instance, 80, "healthy", None)])
    site.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])

    assert site.health(arn) == [(instance, 80, "draining", "Target.DeregistrationInProgress")]
    wait_until(lambda: site.health(arn, {"Id": instance}) == [(instance, 80, "unused", "Target.NotRegistered")])
    assert site.health(arn) == []


@pytest.mark.fact("A draining target that is registered again is registered", elb("RegisterTargets"))
def test_draining_targets_can_come_back(site: Balancing) -> None:
    arn, instance = site.group("back"), site.server.launch_running()["InstanceId"]
    site.listener(site.balancer("back"), arn)
    for call in (site.elb.register_targets, site.elb.deregister_targets, site.elb.register_targets):
        call(TargetGroupArn=arn, Targets=[{"Id": instance}])

    wait_until(lambda: site.health(arn) == [(instance, 80, "healthy", None)])


# Tags


@pytest.mark.fact("A load balancer has 50 tags at most", elb_guide("load-balancer-limits"))
@pytest.mark.fact("A tag key is given once", elb("AddTags"))
def test_tags_are_bounded(site: Balancing) -> None:
    arn = site.balancer("tagged")
    site.elb.add_tags(ResourceArns=[arn], Tags=[{"Key": f"k{number}", "Value": "v"} for number in range(50)])

    with refused("TooManyTags"):
        site.elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "one-more", "Value": "v"}])
    with refused("DuplicateTagKeys"):
        site.elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "k1", "Value": "a"}, {"Key": "k1", "Value": "b"}])


@pytest.mark.fact("DescribeTags describes 20 resources at most", elb("DescribeTags"))
@pytest.mark.fact("DescribeTags of what does not exist is refused", elb("DescribeTags"))
def test_tags_of_few_known_resources_are_described(site: Balancing) -> None:
    unknown = UNKNOWN.format("loadbalancer/app")

    with refused("ValidationError", text="Cannot have more than 20 resources described"):
        site.elb.describe_tags(ResourceArns=[f"{unknown}{number}" for number in range(21)])
    with refused("LoadBalancerNotFound"):
        site.elb.describe_tags(ResourceArns=[unknown])
