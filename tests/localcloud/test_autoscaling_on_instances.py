"""A fleet of real instances behind a real load balancer is refreshed while requests run through it."""

import base64
import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.localcloud.server_support import Server, wait_until

pytestmark = pytest.mark.engine

SERVICE = """#!/bin/sh
cat >/srv/service.py <<'END'
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(b"%(version)s")
    def log_message(self, *arguments):
        pass
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
END
systemd-run --unit=service python3 /srv/service.py
"""


def template_data(server: Server, version: str) -> dict[str, Any]:
    return {
        "ImageId": server.seed_image(),
        "InstanceType": "t3.micro",
        "UserData": base64.b64encode((SERVICE % {"version": version}).encode()).decode(),
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "rebake:version", "Value": version}]}],
    }


@dataclass
class Load:
    """Requests through a load balancer, one after the other, until `ended` is set."""

    host: str
    port: int
    answers: Counter[str] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        while not self.ended.wait(0.005):
            try:
                connection.request("GET", "/version")
                answer = connection.getresponse()
                body = answer.read().decode()
                self.answers[body if answer.status == 200 else str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers[repr(error)] += 1
                connection.close()
        connection.close()


@dataclass
class Fleet:
    """Three instances of version 1 behind a load balancer."""

    server: Server
    template: str
    target_group: str
    host: str
    port: int

    def group(self) -> dict[str, Any]:
        described = self.server.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["web"])
        found: list[dict[str, Any]] = described["AutoScalingGroups"]
        return found[0] if found else {}

    def refresh(self) -> dict[str, Any]:
        described = self.server.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName="web")
        newest: dict[str, Any] = described["InstanceRefreshes"][0]
        return newest

    def healthy(self) -> int:
        described = self.server.client("elbv2").describe_target_health(TargetGroupArn=self.target_group)
        states = [each["TargetHealth"]["State"] for each in described["TargetHealthDescriptions"]]
        return states.count("healthy")


@pytest.fixture(scope="module")
def fleet(server: Server) -> Iterator[Fleet]:
    ec2, elb, scaling = server.client("ec2"), server.client("elbv2"), server.client("autoscaling")
    server.open_default_group()
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    target_group = elb.create_target_group(
        Name="web", Protocol="HTTP", Port=8080, VpcId=vpc, HealthCheckPath="/healthz",
        HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    elb.modify_target_group_attributes(
        TargetGroupArn=target_group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
    )
    balancer = elb.create_load_balancer(Name="web", Subnets=subnets)["LoadBalancers"][0]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=port,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
    )  # fmt: skip
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=template_data(server, "1"))
    identity = template["LaunchTemplate"]["LaunchTemplateId"]
    ec2.create_launch_template_version(LaunchTemplateId=identity, LaunchTemplateData=template_data(server, "2"))
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=0, MaxSize=6, DesiredCapacity=3,
        LaunchTemplate={"LaunchTemplateId": identity, "Version": "1"}, VPCZoneIdentifier=",".join(subnets),
        TargetGroupARNs=[target_group], HealthCheckType="ELB", HealthCheckGracePeriod=30,
    )  # fmt: skip
    fleet = Fleet(server, identity, target_group, balancer["DNSName"], port)
    wait_until(lambda: fleet.healthy() == 3, "three healthy targets", 60)
    yield fleet
    scaling.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
    wait_until(lambda: not fleet.group(), "the group is gone", 60)
    elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    elb.delete_target_group(TargetGroupArn=target_group)
    ec2.delete_launch_template(LaunchTemplateId=identity)


def test_refresh_under_load_loses_no_request(fleet: Fleet) -> None:
    load = Load(fleet.host, fleet.port)
    client = threading.Thread(target=load.run)
    client.start()
    begin = time.monotonic()
    try:
        fleet.server.client("autoscaling").start_instance_refresh(
            AutoScalingGroupName="web",
            DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateId": fleet.template, "Version": "2"}},
            Preferences={
                "MinHealthyPercentage": 100, "MaxHealthyPercentage": 125, "InstanceWarmup": 2, "AutoRollback": True,
            },
        )  # fmt: skip
        wait_until(lambda: fleet.refresh()["Status"] not in {"Pending", "InProgress"}, "the refresh is over", 120)
    finally:
        load.ended.set()
        client.join()
    took = time.monotonic() - begin
    print(f"refresh of three instances: {took:.1f} s, answers {dict(load.answers)}")  # noqa: T201 - a measurement

    assert fleet.refresh()["Status"] == "Successful"
    assert took < 90  # about 20 on an idle machine
    assert set(load.answers) == {"1", "2"}
    assert sum(load.answers.values()) > 500
    assert [each["LaunchTemplate"]["Version"] for each in fleet.group()["Instances"]] == ["2", "2", "2"]


def test_dead_instance_is_replaced(fleet: Fleet) -> None:
    victim = fleet.group()["Instances"][0]["InstanceId"]
    fleet.server.command(victim, "systemctl stop service")
    wait_until(lambda: victim not in [each["InstanceId"] for each in fleet.group()["Instances"]], "it is gone", 90)
    wait_until(lambda: fleet.healthy() == 3, "three healthy targets again", 60)

    assert not any(victim in name for name in fleet.server.containers())
