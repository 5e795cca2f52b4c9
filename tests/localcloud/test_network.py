"""Security groups filter: between load balancer, instances and this machine."""

import contextlib
import ipaddress
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.localcloud.server_support import Server, wait_until

pytestmark = pytest.mark.engine

SERVING = "#!/bin/sh\nsystemd-run --unit serving python3 -m http.server {port} --directory /etc/skel\n"
PORT = 8080


@pytest.fixture(scope="module")
def host(server: Server) -> str:
    """This machine, as instances see it."""
    return f"{ipaddress.ip_network(server.admin('health')['network_cidr'])[1]}/32"


class Site:
    """Groups of a test, and instances in them that serve a page."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ec2: Any = server.client("ec2")
        (self.vpc,) = (vpc["VpcId"] for vpc in self.ec2.describe_vpcs()["Vpcs"] if vpc["IsDefault"])

    def group(self, name: str) -> str:
        """Make a group that lets nothing in."""
        made = self.ec2.create_security_group(GroupName=name, Description="of a test", VpcId=self.vpc)
        return str(made["GroupId"])

    def admit(self, group: str, *, cidr: str = "", source: str = "", port: int = PORT) -> None:
        """Let a network, or the members of a group, in."""
        where = {"IpRanges": [{"CidrIp": cidr}]} if cidr else {"UserIdGroupPairs": [{"GroupId": source}]}
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **where}
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])

    def serve(self, group: str) -> dict[str, Any]:
        """Launch an instance that serves a page."""
        instance = self.server.launch_running(SecurityGroupIds=[group], UserData=SERVING.format(port=PORT))
        check = f"until curl -sf http://127.0.0.1:{PORT}/ >/dev/null; do sleep 0.1; done"
        assert self.server.command(instance["InstanceId"], check)["Status"] == "Success"
        return instance


@pytest.fixture
def site(server: Server) -> Iterator[Site]:
    """A cloud that enforces groups, emptied afterwards."""
    assert server.admin("health")["security_groups"] == "enforced"
    yield Site(server)
    server.empty()


def reaches(address: str, port: int = PORT, seconds: float = 1) -> bool:
    """Return whether a connection is made; one that is refused is a failure, because a group would drop it."""
    with contextlib.suppress(TimeoutError), socket.create_connection((address, port), timeout=seconds):
        return True
    return False


def fetch(url: str) -> int:
    """Return the status of a page, or 0 when nothing answers in time."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (TimeoutError, urllib.error.URLError):
        return 0


def test_this_machine_reaches_an_instance_only_by_a_rule(site: Site, host: str) -> None:
    """A connection that no rule admits times out; with a rule it is made, and without it again not."""
    group = site.group("served")
    address = site.serve(group)["PrivateIpAddress"]
    assert not reaches(address)
    assert not reaches(address, 22)

    site.admit(group, cidr=host)
    wait_until(lambda: reaches(address), "the rule is in force")
    assert not reaches(address, 22)

    rules = site.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    site.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules)
    wait_until(lambda: not reaches(address), "the rule is gone")


def test_an_instance_reaches_another_by_its_group(site: Site) -> None:
    """A rule that names a group means its members, and whoever joins it."""
    served, asking = site.group("served"), site.group("asking")
    site.admit(served, source=asking)
    address = site.serve(served)["PrivateIpAddress"]
    member = site.server.launch_running(SecurityGroupIds=[asking])["InstanceId"]
    other = site.server.launch_running(SecurityGroupIds=[site.group("other")])["InstanceId"]
    ask = f"curl -s --connect-timeout 1 -o /dev/null http://{address}:{PORT}/"

    assert site.server.command(member, ask)["Status"] == "Success"
    assert site.server.command(other, ask)["ResponseCode"] == 28  # curl's: it timed out

    site.ec2.modify_instance_attribute(InstanceId=other, Groups=[asking])
    wait_until(lambda: site.server.command(other, ask)["Status"] == "Success", "the new member is let in")


def test_what_a_group_does_not_let_out_times_out(site: Site) -> None:
    """Egress rules hold as well."""
    served, asking = site.group("served"), site.group("asking")
    site.admit(served, source=asking)
    address = site.serve(served)["PrivateIpAddress"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    site.ec2.revoke_security_group_egress(GroupId=asking, IpPermissions=everything)
    member = site.server.launch_running(SecurityGroupIds=[asking])["InstanceId"]
    ask = f"curl -s --connect-timeout 1 -o /dev/null http://{address}:{PORT}/"

    assert site.server.command(member, ask)["ResponseCode"] == 28
    rule = {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, "UserIdGroupPairs": [{"GroupId": served}]}
    site.ec2.authorize_security_group_egress(GroupId=asking, IpPermissions=[rule])
    wait_until(lambda: site.server.command(member, ask)["Status"] == "Success", "the rule lets it out")


def test_a_subnet_s_addresses_stand_for_who_is_in_it(site: Site) -> None:
    """A rule that names a subnet's network admits instances of that subnet, wherever their containers are."""
    subnets = sorted(site.ec2.describe_subnets()["Subnets"], key=lambda subnet: subnet["AvailabilityZone"])
    served, asking = site.group("served"), site.group("asking")
    site.admit(served, cidr=subnets[1]["CidrBlock"])
    address = site.serve(served)["PrivateIpAddress"]
    ask = f"curl -s --connect-timeout 1 -o /dev/null http://{address}:{PORT}/"

    codes = [
        site.server.command(
            site.server.launch_running(SecurityGroupIds=[asking], SubnetId=subnet["SubnetId"])["InstanceId"], ask
        )["ResponseCode"]
        for subnet in subnets[:2]
    ]

    assert codes == [28, 0]


@pytest.fixture
def balanced(site: Site) -> dict[str, str]:
    """A load balancer in a group of its own before one instance, to which no rule lets it yet."""
    elb = site.server.client("elbv2")
    entry, served = site.group("entry"), site.group("served")
    site.admit(entry, cidr="127.0.0.0/8", port=80)
    instance = site.serve(served)
    subnets = [subnet["SubnetId"] for subnet in site.ec2.describe_subnets()["Subnets"][:2]]
    (balancer,) = elb.create_load_balancer(Name="front", Subnets=subnets, SecurityGroups=[entry])["LoadBalancers"]
    (targets,) = elb.create_target_group(
        Name="back",
        Protocol="HTTP",
        Port=PORT,
        VpcId=site.vpc,
        HealthCheckPath="/",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )["TargetGroups"]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": targets["TargetGroupArn"]}],
    )
    elb.register_targets(TargetGroupArn=targets["TargetGroupArn"], Targets=[{"Id": instance["InstanceId"]}])
    return {
        "entry": entry,
        "served": served,
        "targets": targets["TargetGroupArn"],
        "address": balancer["DNSName"],
        "subnet": subnets[0],
    }


def health(site: Site, targets: str) -> str:
    """Return the reason, or the state, of the only target."""
    found = site.server.client("elbv2").describe_target_health(TargetGroupArn=targets)["TargetHealthDescriptions"]
    return str(found[0]["TargetHealth"].get("Reason") or found[0]["TargetHealth"]["State"])


def test_a_load_balancer_reaches_its_targets_by_its_group(site: Site, balanced: dict[str, str], host: str) -> None:
    """A rule for this machine does not help it: its health checks time out until a rule names its group."""
    site.admit(balanced["served"], cidr=host)
    wait_until(lambda: health(site, balanced["targets"]) == "Target.Timeout", "the checks time out", 20)

    site.admit(balanced["served"], source=balanced["entry"])

    wait_until(lambda: health(site, balanced["targets"]) == "healthy", "the target is healthy", 20)
    assert fetch(f"http://{balanced['address']}/") == 200


def test_a_load_balancer_sends_only_what_its_group_lets_out(site: Site, balanced: dict[str, str]) -> None:
    """Without a rule out to the instances the checks time out."""
    site.admit(balanced["served"], source=balanced["entry"])
    wait_until(lambda: health(site, balanced["targets"]) == "healthy", "the target is healthy", 20)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]

    site.ec2.revoke_security_group_egress(GroupId=balanced["entry"], IpPermissions=everything)
    wait_until(lambda: health(site, balanced["targets"]) == "Target.Timeout", "the checks time out", 30)

    rule = {
        "IpProtocol": "tcp",
        "FromPort": PORT,
        "ToPort": PORT,
        "UserIdGroupPairs": [{"GroupId": balanced["served"]}],
    }
    site.ec2.authorize_security_group_egress(GroupId=balanced["entry"], IpPermissions=[rule])
    wait_until(lambda: health(site, balanced["targets"]) == "healthy", "the target is healthy again", 30)


def test_a_load_balancer_is_reached_only_by_a_rule(site: Site, balanced: dict[str, str]) -> None:
    """Clients that its group does not let in get no connection."""
    wait_until(lambda: reaches(balanced["address"], 80), "the first rule is in force")
    rules = site.ec2.describe_security_groups(GroupIds=[balanced["entry"]])["SecurityGroups"][0]["IpPermissions"]

    site.ec2.revoke_security_group_ingress(GroupId=balanced["entry"], IpPermissions=rules)
    wait_until(lambda: not reaches(balanced["address"], 80), "the rule is gone")

    site.admit(balanced["entry"], cidr="127.0.0.1/32", port=80)
    wait_until(lambda: reaches(balanced["address"], 80), "the new rule is in force")


def test_rules_hold_after_a_stop_and_a_start(site: Site, host: str) -> None:
    """The container has a new network then."""
    group = site.group("served")
    site.admit(group, cidr=host, port=22)
    instance = site.server.launch_running(SecurityGroupIds=[group])
    address = instance["PrivateIpAddress"]
    wait_until(lambda: reaches(address, 22), "the rule is in force")

    site.ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    site.server.wait_for_state(instance["InstanceId"], "stopped")
    site.ec2.start_instances(InstanceIds=[instance["InstanceId"]])
    site.server.wait_for_state(instance["InstanceId"], "running")

    wait_until(lambda: reaches(address, 22), "the rule is in force again")
    assert not reaches(address, 23)
