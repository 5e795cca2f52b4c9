"""The metadata-only mode: instances and images are records, and the rest is the same."""

import subprocess
import sys

from tests.localcloud.server_support import ROOT, Server, wait_until


def test_instances_stop_start_and_end_as_records(records: Server) -> None:
    ec2 = records.client("ec2")
    instance_id = records.launch()
    launched = records.instance(instance_id)["State"]["Name"]

    ec2.stop_instances(InstanceIds=[instance_id])
    stopped = records.instance(instance_id)["State"]["Name"]
    ec2.start_instances(InstanceIds=[instance_id])
    started = records.instance(instance_id)["State"]["Name"]
    ec2.terminate_instances(InstanceIds=[instance_id])

    assert (launched, stopped, started) == ("running", "stopped", "running")
    assert records.instance(instance_id)["State"]["Name"] == "terminated"


def test_a_command_to_a_record_fails_and_reports_why(records: Server) -> None:
    done = records.command(records.launch(), "true")

    assert done["Status"] == "Failed"
    assert "--metadata-only an instance is a record only" in done["StandardErrorContent"]


def test_a_group_of_records_is_healthy_by_declaration(records: Server) -> None:
    ec2, scaling, elb = records.client("ec2"), records.client("autoscaling"), records.client("elbv2")
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
    vpc_id = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    targets = elb.create_target_group(Name="records", Protocol="HTTP", Port=8080, VpcId=vpc_id)["TargetGroups"][0][
        "TargetGroupArn"
    ]
    balancer = elb.create_load_balancer(Name="records", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": targets}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=18080, DefaultActions=forward)
    template = ec2.create_launch_template(
        LaunchTemplateName="records", LaunchTemplateData={"ImageId": records.seed_image(), "InstanceType": "t3.micro"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="records", MinSize=3, MaxSize=3, VPCZoneIdentifier=",".join(subnets),
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"}, TargetGroupARNs=[targets],
        HealthCheckType="ELB",
    )  # fmt: skip

    def states() -> list[str]:
        described = elb.describe_target_health(TargetGroupArn=targets)["TargetHealthDescriptions"]
        return [target["TargetHealth"]["State"] for target in described]

    try:
        wait_until(lambda: states() == ["healthy"] * 3, "three healthy records", 60)
    finally:
        elb.delete_load_balancer(LoadBalancerArn=balancer)
        ec2.delete_launch_template(LaunchTemplateId=template)


def test_the_health_endpoint_reports_that_instances_are_records(records: Server) -> None:
    assert records.admin("health")["instances"] == "records"


def test_containers_and_records_exclude_each_other() -> None:
    command = [sys.executable, "-m", "localcloud", "--name", "neither", "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "give --engine and --os-image, or --metadata-only" in done.stderr
