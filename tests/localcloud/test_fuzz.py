"""Whatever arrives, the answer is one that AWS could give: no page of HTML, no internal error, no unreadable body."""

import os

from hypothesis import HealthCheck, Phase, given, settings

from tests.localcloud.fuzzing import STRINGS, Case, Fuzzer, actions, cases
from tests.localcloud.server_support import Server

CALLS = int(os.environ.get("REBAKE_FUZZ_CALLS") or 300)
BETWEEN_RESETS = 1000
"""How many calls go to one cloud before it is emptied: what they made slows the later ones."""


def populate(server: Server) -> list[str]:
    """Make one resource of each kind, and return their names."""
    ec2, iam = server.client("ec2"), server.client("iam")
    image = server.seed_image()
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    instance = server.launch_running()
    template = ec2.create_launch_template(
        LaunchTemplateName="fuzz", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    server.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="fuzz",
        MinSize=1,
        MaxSize=3,
        LaunchTemplate={"LaunchTemplateId": template},
        VPCZoneIdentifier=subnets[0],
    )
    elb = server.client("elbv2")
    balancer = elb.create_load_balancer(Name="fuzz", Subnets=subnets[:2])["LoadBalancers"][0]["LoadBalancerArn"]
    targets = elb.create_target_group(Name="fuzz", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
    server.client("s3").create_bucket(Bucket="fuzz", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    server.client("s3").put_object(Bucket="fuzz", Key="a/b", Body=b"text")
    server.client("ssm").put_parameter(Name="fuzz", Value="value", Type="String")
    iam.create_role(RoleName="fuzz", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    server.client("cloudwatch").put_metric_alarm(
        AlarmName="fuzz", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=1.0,
        MetricName="m", Namespace="n", Period=60, Statistic="Sum",
    )  # fmt: skip
    ids = (image, vpc, *subnets[:2], group, instance["InstanceId"], template, balancer, targets["TargetGroupArn"])
    return [
        "fuzz",
        "a/b",
        "fuzz/a/b",
        "eu-west-1a",
        "t3.micro",
        "10.0.0.0/16",
        "arn:aws:iam::123456789012:role/fuzz",
        *ids,
    ]


def test_no_request_gets_an_answer_that_aws_could_not_give(records: Server) -> None:
    """`make fuzz CALLS=10000` runs more than these."""
    fuzzer = Fuzzer(records.url)
    sent = 0

    @settings(
        max_examples=CALLS,
        deadline=None,
        database=None,
        derandomize="REBAKE_FUZZ_CALLS" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(actions()))
    def send_one(case: Case) -> None:
        nonlocal sent
        if sent % BETWEEN_RESETS == 0:
            records.empty()
            fuzzer.known[:] = [*STRINGS, *populate(records)]
        sent += 1
        fuzzer.send(case)

    send_one()

    print(fuzzer.summary())  # noqa: T201 -- of a run by `make fuzz`
    kinds = {(each.action, each.why): each for each in fuzzer.failures}
    assert not kinds, "\n".join(str(each) for each in kinds.values())
