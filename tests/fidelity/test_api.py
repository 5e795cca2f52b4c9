"""Facts of every service: how a request that breaks the API's model is refused."""

import gzip
import json
import urllib.request
from collections.abc import Callable
from functools import cache
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config

from tests.fidelity.refusals import refused
from tests.fidelity.sources import (
    COMMON_ERRORS,
    EC2_ERRORS,
    JSON_PROTOCOL,
    S3_ERRORS,
    autoscaling,
    cloudwatch,
    ec2,
    elb,
    iam,
    report,
    s3,
    ssm,
    sts,
)
from tests.localcloud.server_support import REGION, Server, signed_headers

SERVICE = "every service"

fact = pytest.mark.fact


@cache
def unchecked(url: str, service: str) -> Any:
    """Return a client that sends what the model forbids."""
    client: Any = boto3.client
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return client(service, region_name=REGION, endpoint_url=url, config=config)


def ask(cloud: Server, service: str, body: bytes = b"", method: str = "POST", path: str = "/", **headers: str) -> Any:
    """Send a request of one's own making, signed for the service, and return status, headers and body."""
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    if service:
        sent = signed_headers(cloud.url + path, service, method, body, sent)
    request = urllib.request.Request(cloud.url + path, data=body or None, method=method, headers=sent)
    answer: HTTPResponse | HTTPError
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read().decode()


def ask_ssm(cloud: Server, body: bytes, action: str = "GetParameter", service: str = "ssm") -> tuple[int, str]:
    """Send a body to Systems Manager, and return the status and the error's type."""
    status, _, text = ask(
        cloud, service, body, X_Amz_Target=f"AmazonSSM.{action}", Content_Type="application/x-amz-json-1.1"
    )
    return status, json.loads(text)["__type"]


Call = Callable[[Any], Any]
EC2_REFUSALS = [
    pytest.param(
        lambda ec2: ec2.run_instances(ImageId="ami-1", MaxCount=1),
        "MissingParameter",
        "The request must contain the parameter MinCount",
        marks=fact("EC2 names a required parameter that is missing", EC2_ERRORS),
        id="missing",
    ),
    pytest.param(
        lambda ec2: ec2.run_instances(ImageId="ami-1", MinCount="one", MaxCount=1),
        "InvalidParameterValue",
        "one",
        marks=fact("EC2 refuses a number that is none", EC2_ERRORS),
        id="number",
    ),
    pytest.param(
        lambda ec2: ec2.run_instances(MinCount=1, MaxCount=1, InstanceInitiatedShutdownBehavior="explode"),
        "InvalidParameterValue",
        "explode",
        marks=fact("EC2 refuses a value that is not among an enumeration's", ec2("RunInstances")),
        id="enumeration",
    ),
    pytest.param(
        lambda ec2: ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1, VolumeType="gp9"),
        "InvalidParameterValue",
        "gp9",
        marks=fact("A volume's type is one of those that there are", ec2("CreateVolume")),
        id="volume type",
    ),
    pytest.param(
        lambda ec2: ec2.describe_instances(Filters=[{"Name": "colour", "Values": ["red"]}]),
        "InvalidParameterValue",
        "The filter 'colour' is invalid",
        marks=fact("DescribeInstances refuses a filter that it does not document", ec2("DescribeInstances")),
        id="filter of instances",
    ),
    pytest.param(
        lambda ec2: ec2.describe_images(Filters=[{"Name": "instance-id", "Values": ["i-1"]}]),
        "InvalidParameterValue",
        "The filter 'instance-id' is invalid",
        marks=fact("DescribeImages refuses another action's filter", ec2("DescribeImages")),
        id="filter of images",
    ),
    pytest.param(
        lambda ec2: ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": ["i-1"] * 201}]),
        "FilterLimitExceeded",
        "The maximum number of filter values specified on a single call is 200",
        marks=fact("All filters together have at most 200 values", report("gjbae1212/gossm", 47)),
        id="filter values",
    ),
    pytest.param(
        lambda ec2: ec2.describe_instances(
            Filters=[{"Name": f"tag:{key}", "Values": ["x"] * 101} for key in ("first", "second")]
        ),
        "FilterLimitExceeded",
        "specified on a single call is 200",
        marks=fact("The 200 values are counted over all filters", report("convox/rack", 2205)),
        id="filters' values",
    ),
    pytest.param(
        lambda ec2: ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["x" * 256]}]),
        "FilterLimitExceeded",
        "The maximum length for a filter value is 255 characters",
        marks=fact("A filter's value has at most 255 characters", report("ansible-collections/amazon.aws", 2393)),
        id="filter value's length",
    ),
    pytest.param(
        lambda ec2: ec2.describe_vpcs(MaxResults=1001),
        "InvalidParameterValue",
        "Expecting a value from 5 to 1000",
        marks=fact("MaxResults is within the bounds of the model", ec2("DescribeVpcs")),
        id="page of networks",
    ),
    pytest.param(
        lambda ec2: ec2.describe_tags(MaxResults=4),
        "InvalidParameterValue",
        "Expecting a value from 5 to 1000",
        marks=fact("MaxResults is within the bounds of the documentation", ec2("DescribeTags")),
        id="page of tags",
    ),
    pytest.param(
        lambda ec2: ec2.create_security_group(GroupName="api\0", Description="a"),
        "InvalidCharacter",
        "",
        marks=fact("A character that XML has not is refused", EC2_ERRORS),
        id="character",
    ),
]


@pytest.mark.parametrize(("call", "code", "text"), EC2_REFUSALS)
def test_ec2_refuses_what_its_model_forbids(cloud: Server, call: Call, code: str, text: str) -> None:
    with refused(code, 400, text):
        call(unchecked(cloud.url, "ec2"))


@fact("200 values in filters are accepted", report("apache/druid", 1954))
def test_ec2_accepts_200_values(cloud: Server) -> None:
    filters = [{"Name": "instance-id", "Values": [f"i-{number:017x}" for number in range(200)]}]

    assert cloud.client("ec2").describe_instances(Filters=filters)["Reservations"] == []


@fact("A filter `tag:` takes any key", ec2("Filter"))
def test_ec2_filters_by_any_tag(cloud: Server) -> None:
    filters = [{"Name": "tag:any key, even so", "Values": ["x"]}, {"Name": "tag-key", "Values": ["y"]}]

    assert cloud.client("ec2").describe_images(Filters=filters)["Images"] == []


@fact("DescribeVpcs takes the filter isDefault as is-default", report("go-amz/amz", 71))
def test_ec2_filters_by_is_default(cloud: Server) -> None:
    client = cloud.client("ec2")
    other = client.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]

    found = client.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"]

    assert [each["IsDefault"] for each in found] == [True]
    assert other not in {each["VpcId"] for each in found}


@pytest.mark.parametrize(
    ("name", "member"),
    [
        pytest.param(name, member, id=name, marks=fact(f"DescribeSubnets takes the filter {name}", link))
        for link in [ec2("DescribeSubnets")]
        for name, member in {
            "availability-zone-id": "AvailabilityZoneId",
            "availabilityZone": "AvailabilityZone",
            "availabilityZoneId": "AvailabilityZoneId",
            "cidr": "CidrBlock",
            "cidrBlock": "CidrBlock",
            "defaultForAz": "DefaultForAz",
        }.items()
    ],
)
def test_ec2_filters_by_other_names(cloud: Server, name: str, member: str) -> None:
    client = cloud.client("ec2")
    network = client.create_vpc(CidrBlock="10.78.0.0/16")["Vpc"]["VpcId"]
    client.create_subnet(VpcId=network, CidrBlock="10.78.0.0/24", AvailabilityZone="eu-west-1b")
    every = client.describe_subnets()["Subnets"]
    value = next(each[member] for each in every if each["DefaultForAz"])

    found = client.describe_subnets(Filters=[{"Name": name, "Values": [str(value).lower()]}])["Subnets"]

    assert found == [each for each in every if each[member] == value]
    assert 0 < len(found) < len(every)


@fact("DescribeInstances takes the filter tag-value", report("ClusterLabs/cluster-glue", 43))
@fact(
    "DescribeSnapshots takes the filter tag-value",
    "[rusoto_ec2](https://docs.rs/rusoto_ec2/0.30.0/rusoto_ec2/struct.DescribeSnapshotsRequest.html)",
)
def test_ec2_filters_by_tags_values(cloud: Server) -> None:
    client = cloud.client("ec2")
    instance, other = (cloud.launch_running()["InstanceId"] for _ in range(2))
    volume = client.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    snapshot, _ = (client.create_snapshot(VolumeId=volume)["SnapshotId"] for _ in range(2))
    client.create_tags(Resources=[instance, snapshot], Tags=[{"Key": "stage", "Value": "value-of-a-tag"}])
    client.create_tags(Resources=[other], Tags=[{"Key": "value-of-a-tag", "Value": "another"}])
    filters = [{"Name": "tag-value", "Values": ["value-of-a-tag"]}]

    reservations = client.describe_instances(Filters=filters)["Reservations"]

    assert [each["InstanceId"] for found in reservations for each in found["Instances"]] == [instance]
    assert [each["SnapshotId"] for each in client.describe_snapshots(Filters=filters)["Snapshots"]] == [snapshot]


@fact("EC2 refuses a parameter that the action does not have", report("aws/aws-sdk-js", 57))
def test_ec2_knows_its_parameters(cloud: Server) -> None:
    status, _, body = ask(cloud, "ec2", b"Action=DescribeInstances&Version=2016-11-15&Item=1")

    assert (status, "<Code>UnknownParameter</Code>" in body) == (400, True)
    assert "<Message>The parameter Item is not recognized</Message>" in body


@fact("EC2 refuses a Boolean that is none", EC2_ERRORS)
def test_ec2_knows_booleans(cloud: Server) -> None:
    status, _, body = ask(cloud, "ec2", b"Action=DescribeInstances&Version=2016-11-15&DryRun=maybe")

    assert (status, "<Code>InvalidParameterValue</Code>" in body) == (400, True)


@fact("EC2 refuses an action that there is not", report("cognitect-labs/aws-api", 6))
def test_ec2_knows_its_actions(cloud: Server) -> None:
    status, _, body = ask(cloud, "ec2", b"Action=ExplodeInstances&Version=2016-11-15")

    assert (status, "<Code>InvalidAction</Code>" in body) == (400, True)
    assert "The action ExplodeInstances is not valid for this web service." in body
    assert "<Response><Errors><Error>" in body


@fact("A request without an action is refused", EC2_ERRORS)
def test_an_action_is_required(cloud: Server) -> None:
    status, _, body = ask(cloud, "ec2", b"Version=2016-11-15")

    assert (status, "<Code>MissingAction</Code>" in body) == (400, True)


QUERY_REFUSALS = [
    pytest.param(
        "autoscaling",
        lambda client: client.delete_auto_scaling_group(AutoScalingGroupName="x" * 256),
        "ValidationError",
        "1 validation error detected: Value 'xxx",
        marks=fact("Auto Scaling refuses a name that is too long", autoscaling("DeleteAutoScalingGroup")),
        id="length",
    ),
    pytest.param(
        "autoscaling",
        lambda client: client.put_scaling_policy(AutoScalingGroupName="", PolicyName=""),
        "ValidationError",
        "2 validation errors detected: ",
        marks=fact("All violations of the model are in one error", autoscaling("PutScalingPolicy")),
        id="two",
    ),
    pytest.param(
        "autoscaling",
        lambda client: client.delete_auto_scaling_group(),
        "ValidationError",
        "Value null at 'autoScalingGroupName' failed to satisfy constraint: Member must not be null",
        marks=fact("Auto Scaling names a required member that is missing", autoscaling("DeleteAutoScalingGroup")),
        id="missing",
    ),
    pytest.param(
        "autoscaling",
        lambda client: client.create_or_update_tags(Tags=[{"Key": "", "ResourceId": "g"}]),
        "ValidationError",
        "Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal",
        marks=fact("The error has the path to a member within a list", autoscaling("Tag")),
        id="path",
    ),
    pytest.param(
        "autoscaling",
        lambda client: client.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity="many"),
        "MalformedInput",
        "",
        marks=fact("A number that is none is malformed input", report("boto/boto", 3890)),
        id="number",
    ),
    pytest.param(
        "elbv2",
        lambda client: client.create_target_group(Name="api", Protocol="HTPP", Port=80, VpcId="vpc-1"),
        "ValidationError",
        "Value 'HTPP' at 'protocol' failed to satisfy constraint: Member must satisfy enum value set: [",
        marks=fact("Load balancing refuses a protocol that there is not", elb("CreateTargetGroup")),
        id="enumeration",
    ),
    pytest.param(
        "elbv2",
        lambda client: client.create_target_group(Name="api", Protocol="HTTP", Port=65536, VpcId="vpc-1"),
        "ValidationError",
        "Value '65536' at 'port' failed to satisfy constraint: Member must have value less than or equal to 65535",
        marks=fact("A port is at most 65535", elb("CreateTargetGroup")),
        id="bound",
    ),
    pytest.param(
        "elbv2",
        lambda client: client.describe_target_groups(PageSize=401),
        "ValidationError",
        "Member must have value less than or equal to 400",
        marks=fact("PageSize is at most 400", elb("DescribeTargetGroups")),
        id="page",
    ),
    pytest.param(
        "iam",
        lambda client: client.get_role(RoleName="two words"),
        "ValidationError",
        "",
        marks=fact("A role's name fits its pattern", iam("GetRole")),
        id="pattern",
    ),
    pytest.param(
        "iam",
        lambda client: client.list_roles(MaxItems=1001),
        "ValidationError",
        "Value '1001' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 1000",
        marks=fact("MaxItems is at most 1000", iam("ListRoles")),
        id="items",
    ),
    pytest.param(
        "sts",
        lambda client: client.assume_role(
            RoleArn="arn:aws:iam::123456789012:role/api", RoleSessionName="s", DurationSeconds=60
        ),
        "ValidationError",
        "Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to",
        marks=fact("A session lasts 900 s or longer", sts("AssumeRole")),
        id="session",
    ),
    pytest.param(
        "cloudwatch",
        lambda client: client.get_metric_statistics(
            MetricName="m", StartTime="2026-01-01T00:00:00Z", EndTime="2026-01-02T00:00:00Z", Period=60
        ),
        "MissingParameter",
        "The parameter Namespace is required.",
        marks=fact("CloudWatch names a required parameter that is missing", report("JuliaCloud/AWSSDK.jl", 2)),
        id="missing in CloudWatch",
    ),
    pytest.param(
        "cloudwatch",
        lambda client: client.put_metric_data(
            Namespace="n", MetricData=[{"MetricName": "m", "Dimensions": [{"Name": "d"}]}]
        ),
        "MissingParameter",
        "The parameter MetricData.member.1.Dimensions.member.1.Value is required.",
        marks=fact("CloudWatch names it by its path", report("noxdafox/rabbitmq-cloudwatch-exporter", 14)),
        id="path in CloudWatch",
    ),
    pytest.param(
        "ssm",
        lambda client: client.put_parameter(Name="api", Value="v", Type="Text"),
        "ValidationException",
        "Value 'Text' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [",
        marks=fact("A parameter has one of three types", ssm("PutParameter")),
        id="enumeration in Systems Manager",
    ),
    pytest.param(
        "ssm",
        lambda client: client.put_parameter(Value="v", Type="String"),
        "ValidationException",
        "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null",
        marks=fact("Systems Manager names a required member that is missing", ssm("PutParameter")),
        id="missing in Systems Manager",
    ),
    pytest.param(
        "ssm",
        lambda client: client.get_parameters(Names=[f"api-{number}" for number in range(11)]),
        "ValidationException",
        "Member must have length less than or equal to 10",
        marks=fact("GetParameters takes at most ten names", ssm("GetParameters")),
        id="list in Systems Manager",
    ),
]


@pytest.mark.parametrize(("service", "call", "code", "text"), QUERY_REFUSALS)
def test_a_service_refuses_what_its_model_forbids(
    cloud: Server, service: str, call: Call, code: str, text: str
) -> None:
    with refused(code, 400, text):
        call(unchecked(cloud.url, service))


@fact("Other services name the version in which an action is not", report("aws/aws-cli", 37))
def test_a_service_knows_its_actions(cloud: Server) -> None:
    status, _, body = ask(cloud, "autoscaling", b"Action=ExplodeGroup&Version=2011-01-01")

    assert (status, "<Code>InvalidAction</Code>" in body) == (400, True)
    assert "Could not find operation ExplodeGroup for version 2011-01-01" in body
    assert "<ErrorResponse" in body


@fact("A version of the API that there is not has no actions", report("aws/aws-cli", 37))
def test_a_service_knows_its_versions(cloud: Server) -> None:
    status, _, body = ask(cloud, "elasticloadbalancing", b"Action=DescribeLoadBalancers&Version=1999-01-01")

    assert (status, "<Code>InvalidAction</Code>" in body) == (400, True)


@fact("A request that is not signed is refused", COMMON_ERRORS)
def test_a_signature_is_required(cloud: Server) -> None:
    status, _, body = ask(cloud, "", b"Action=DescribeAutoScalingGroups&Version=2011-01-01")

    assert (status, "<Code>MissingAuthenticationToken</Code>" in body) == (403, True)


@fact("A body that is not JSON is refused", JSON_PROTOCOL)
def test_malformed_json_is_refused(cloud: Server) -> None:
    assert ask_ssm(cloud, b'{"Name": ') == (400, "SerializationException")
    assert ask_ssm(cloud, b"[]") == (400, "SerializationException")


@fact("A JSON value that is not of the member's type is refused", JSON_PROTOCOL)
def test_json_of_another_type_is_refused(cloud: Server) -> None:
    assert ask_ssm(cloud, b'{"Name": ["api"]}') == (400, "SerializationException")
    assert ask_ssm(cloud, b'{"Names": "api"}', "GetParameters") == (400, "SerializationException")


@fact("An action that a JSON service does not have is an unknown operation", JSON_PROTOCOL)
def test_a_json_service_knows_its_actions(cloud: Server) -> None:
    assert ask_ssm(cloud, b"{}", "ExplodeParameter") == (400, "UnknownOperationException")


@fact("A JSON request that is not signed is refused", COMMON_ERRORS)
def test_a_signature_is_required_of_json(cloud: Server) -> None:
    assert ask_ssm(cloud, b'{"Name": "api"}', service="") == (400, "MissingAuthenticationTokenException")


@fact("A long request may be compressed with gzip", cloudwatch("PutMetricData"))
def test_a_request_may_be_compressed(cloud: Server) -> None:
    metrics = {"Namespace": "api-gzip", "MetricData": [{"MetricName": "m", "Value": 1.0}]}
    target = "GraniteServiceVersion20100801.PutMetricData"
    zipped = gzip.compress(json.dumps(metrics).encode())

    status, _, body = ask(
        cloud, "monitoring", zipped, X_Amz_Target=target, Content_Type="application/x-amz-json-1.0",
        Content_Encoding="gzip",
    )  # fmt: skip

    assert (status, body) == (200, body)
    assert cloud.client("cloudwatch").list_metrics(Namespace="api-gzip")["Metrics"][0]["MetricName"] == "m"


@pytest.fixture(scope="module")
def bucket(cloud: Server) -> str:
    location = {"LocationConstraint": REGION}
    cloud.client("s3").create_bucket(Bucket="api", CreateBucketConfiguration=location)
    return "api"


S3_REFUSALS = [
    pytest.param(
        lambda s3: s3.put_bucket_versioning(Bucket="api", VersioningConfiguration={"Status": "Maybe"}),
        "MalformedXML",
        marks=fact("A value in XML that is not among an enumeration's is malformed", s3("PutBucketVersioning")),
        id="enumeration in XML",
    ),
    pytest.param(
        lambda s3: s3.put_object(Bucket="api", Key="k", ACL="everybody"),
        "InvalidArgument",
        marks=fact("A canned ACL is one of those that there are", S3_ERRORS),
        id="canned ACL",
    ),
    pytest.param(
        lambda s3: s3.put_object(Bucket="api", Key="k", StorageClass="ATTIC"),
        "InvalidStorageClass",
        marks=fact("A storage class is one of those that there are", S3_ERRORS),
        id="storage class",
    ),
    pytest.param(
        lambda s3: s3.list_objects_v2(Bucket="api", MaxKeys="many"),
        "InvalidArgument",
        marks=fact("A number in the address that is none is refused", s3("ListObjectsV2")),
        id="number",
    ),
    pytest.param(
        lambda s3: s3.create_bucket(Bucket="api-2", CreateBucketConfiguration={"LocationConstraint": "the-moon"}),
        "InvalidLocationConstraint",
        marks=fact("A bucket's location is one that there is", S3_ERRORS),
        id="location",
    ),
]


@pytest.mark.parametrize(("call", "code"), S3_REFUSALS)
def test_s3_refuses_what_its_model_forbids(cloud: Server, bucket: str, call: Call, code: str) -> None:
    with refused(code):
        call(unchecked(cloud.url, "s3"))


@fact("A body that is not XML is malformed", S3_ERRORS)
def test_malformed_xml_is_refused(cloud: Server, bucket: str) -> None:
    status, _, body = ask(cloud, "s3", b"<VersioningConfiguration>", "PUT", f"/{bucket}?versioning")

    assert (status, "<Code>MalformedXML</Code>" in body) == (400, True)


@fact("A method that S3 does not have is not allowed", S3_ERRORS)
def test_s3_knows_its_methods(cloud: Server, bucket: str) -> None:
    status, _, body = ask(cloud, "s3", b"x", "PATCH", f"/{bucket}/key")

    assert (status, "<Code>MethodNotAllowed</Code>" in body) == (405, True)


@fact("An object's length has to be announced", S3_ERRORS)
def test_s3_requires_a_length(cloud: Server, bucket: str) -> None:
    status, _, body = ask(cloud, "s3", b"1\r\nx\r\n0\r\n\r\n", "PUT", f"/{bucket}/key", Transfer_Encoding="chunked")

    assert (status, "<Code>MissingContentLength</Code>" in body) == (411, True)


@fact("The answer to HEAD has a status and no body", s3("HeadObject"))
def test_head_has_no_body(cloud: Server, bucket: str) -> None:
    status, _, body = ask(cloud, "s3", b"", "HEAD", f"/{bucket}/absent")

    assert (status, body) == (404, "")
