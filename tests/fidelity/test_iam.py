"""Facts of IAM: which requests policies allow, and how each service refuses the others."""

import json
import urllib.request
from typing import Any

import pytest

from tests.fidelity.people import (
    ACCOUNT,
    Person,
    other_account,
    policy,
    role,
    trust,
    unique,
    user,
)
from tests.fidelity.refusals import refused
from tests.fidelity.sources import DOCS, autoscaling_guide, ec2_guide, iam, iam_guide, s3, s3_guide, ssm_guide
from tests.localcloud.server_support import REGION, Server

SERVICE = "IAM and STS"
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
IMAGES = f"arn:aws:ec2:{REGION}::image/*"
EVALUATION = iam_guide("reference_policies_evaluation-logic_policy-eval-denyallow")
OPERATORS = iam_guide("reference_policies_elements_condition_operators")
KEYS = iam_guide("reference_policies_condition-keys")
SETS = iam_guide("reference_policies_condition-single-vs-multi-valued-context-keys")
MESSAGES = iam_guide("troubleshoot_access-denied")
LAUNCH = ec2_guide("ExamplePolicies_EC2")
ELB_TAGS = f"[user guide]({DOCS}/elasticloadbalancing/latest/userguide/tagging-resources-during-creation.html)"
TAG_ON_CREATE = ec2_guide("supported-iam-actions-tagging")


def may_list(person: Person, **filters: Any) -> None:
    """Have somebody use the permission `ec2:DescribeVpcs`."""
    person.client("ec2").describe_vpcs(**filters)


def refuses_listing(person: Person, text: str = "") -> None:
    """Expect that they have no such permission."""
    with refused("UnauthorizedOperation", 403, text):
        may_list(person)


def bucket(cloud: Server, document: dict[str, Any] | None = None, client: Any = None) -> str:
    """Make a bucket with an object `key`, and a policy."""
    name, owner = unique("bucket"), client or cloud.client("s3")
    owner.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    owner.put_object(Bucket=name, Key="key", Body=b"content")
    if document:
        statement = {"Effect": "Allow", "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"], **document}
        owner.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return name


def launchable(cloud: Server, person: Person, **arguments: Any) -> Any:
    """Launch an instance of the seed image."""
    request = {"ImageId": cloud.seed_image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **arguments}
    return person.client("ec2").run_instances(**request)["Instances"][0]


def tags(kind: str, **values: str) -> list[dict[str, Any]]:
    """Return tag specifications of one type."""
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in values.items()]}]


# What is allowed


@pytest.mark.fact("What no policy allows is denied, with the action and the resource in the message", MESSAGES)
def test_implicit_denial(enforcing: Server) -> None:
    person = user(enforcing)

    refuses_listing(person, f"User: {person.arn} is not authorized to perform: ec2:DescribeVpcs")


@pytest.mark.fact("A user's inline policy allows what it names, with wildcards and in any case", iam("PutUserPolicy"))
def test_inline_policy(enforcing: Server) -> None:
    may_list(user(enforcing, {"Action": "EC2:describe*"}))


@pytest.mark.fact("Attached managed policies and those of a user's groups count too", iam("AddUserToGroup"))
def test_attached_and_group_policies(enforcing: Server) -> None:
    root, person, group = enforcing.client("iam"), user(enforcing), unique("group")
    document = policy({"Action": "ec2:DescribeVpcs"})
    root.create_group(GroupName=group)
    root.put_group_policy(GroupName=group, PolicyName="list", PolicyDocument=document)
    root.add_user_to_group(GroupName=group, UserName=person.name)
    may_list(person)
    root.remove_user_from_group(GroupName=group, UserName=person.name)
    refuses_listing(person)
    arn = root.create_policy(PolicyName=unique("policy"), PolicyDocument=document)["Policy"]["Arn"]
    root.attach_user_policy(UserName=person.name, PolicyArn=arn)
    may_list(person)

    root.detach_user_policy(UserName=person.name, PolicyArn=arn)

    refuses_listing(person)


@pytest.mark.fact("Of a managed policy's versions the default one counts", iam("SetDefaultPolicyVersion"))
def test_default_version(enforcing: Server) -> None:
    root, person = enforcing.client("iam"), user(enforcing)
    arn = root.create_policy(PolicyName=unique("policy"), PolicyDocument=policy({"Action": "s3:*"}))["Policy"]["Arn"]
    root.attach_user_policy(UserName=person.name, PolicyArn=arn)
    root.create_policy_version(PolicyArn=arn, PolicyDocument=policy({"Action": "ec2:*"}), SetAsDefault=False)
    refuses_listing(person)

    root.set_default_policy_version(PolicyArn=arn, VersionId="v2")

    may_list(person)


@pytest.mark.fact("An explicit Deny overrides every Allow", EVALUATION)
def test_explicit_deny(enforcing: Server) -> None:
    person = user(enforcing, {"Action": "*"}, {"Effect": "Deny", "Action": "ec2:DescribeVpcs"})

    refuses_listing(person, "with an explicit deny in an identity-based policy")
    person.client("ec2").describe_subnets()


@pytest.mark.fact("NotAction is about all actions but those", iam_guide("reference_policies_elements_notaction"))
def test_not_action(enforcing: Server) -> None:
    person = user(enforcing, {"NotAction": "iam:*"})

    may_list(person)
    with refused("AccessDenied", 403):
        person.client("iam").list_users()


@pytest.mark.fact("NotResource is about all resources but those", iam_guide("reference_policies_elements_notresource"))
def test_not_resource(enforcing: Server) -> None:
    person = user(enforcing, {"Action": "ssm:PutParameter", "NotResource": "arn:aws:ssm:*:*:parameter/closed/*"})

    person.client("ssm").put_parameter(Name="/open/a", Value="b", Type="String")
    with refused("AccessDeniedException", 400, f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/closed/a"):
        person.client("ssm").put_parameter(Name="/closed/a", Value="b", Type="String")


@pytest.mark.fact("Policy variables such as ${aws:username} are replaced", iam_guide("reference_policies_variables"))
def test_policy_variables(enforcing: Server) -> None:
    person = user(
        enforcing,
        {"Action": "ssm:*", "Resource": "arn:aws:ssm:*:${aws:PrincipalAccount}:parameter/${aws:username}/*"},
    )

    person.client("ssm").put_parameter(Name=f"/{person.name}/a", Value="b", Type="String")
    with refused("AccessDeniedException", 400):
        person.client("ssm").put_parameter(Name="/somebody/a", Value="b", Type="String")


@pytest.mark.fact("A deleted or inactive access key is unknown", iam("UpdateAccessKey"))
def test_inactive_key(enforcing: Server) -> None:
    person = user(enforcing, {"Action": "*"})
    may_list(person)

    enforcing.client("iam").update_access_key(UserName=person.name, AccessKeyId=person.key, Status="Inactive")

    with refused("AuthFailure", 401):
        may_list(person)


@pytest.mark.fact("Without a name, actions on users are about the caller", iam("ListAccessKeys"))
def test_own_user(enforcing: Server) -> None:
    own = {"Action": "iam:*", "Resource": "arn:aws:iam::*:user/${aws:username}"}
    person, other = user(enforcing, own), user(enforcing)

    assert person.client("iam").get_user()["User"]["UserName"] == person.name
    person.client("iam").list_access_keys()
    with refused("AccessDenied", 403, other.arn):
        person.client("iam").list_access_keys(UserName=other.name)


# Boundaries


@pytest.mark.fact(
    "A permissions boundary allows nothing, and limits what policies allow",
    iam_guide("access_policies_boundaries"),
)
def test_boundary_of_a_user(enforcing: Server) -> None:
    root = enforcing.client("iam")
    limit = root.create_policy(PolicyName=unique("limit"), PolicyDocument=policy({"Action": "s3:*"}))["Policy"]["Arn"]
    person = user(enforcing, {"Action": ["ec2:*", "s3:*"]}, PermissionsBoundary=limit)
    refuses_listing(person, "because no permissions boundary allows the ec2:DescribeVpcs action")
    person.client("s3").list_buckets()

    root.delete_user_permissions_boundary(UserName=person.name)

    may_list(person)


@pytest.mark.fact("GetUser names the permissions boundary", iam("User"))
def test_boundary_is_described(enforcing: Server) -> None:
    root = enforcing.client("iam")
    limit = root.create_policy(PolicyName=unique("limit"), PolicyDocument=policy({"Action": "s3:*"}))["Policy"]["Arn"]
    person = user(enforcing)

    root.put_user_permissions_boundary(UserName=person.name, PermissionsBoundary=limit)

    described = root.get_user(UserName=person.name)["User"]["PermissionsBoundary"]
    assert described == {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": limit}


# Conditions


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        pytest.param(
            {"StringEquals": {"aws:RequestedRegion": REGION}},
            True,
            marks=pytest.mark.fact("aws:RequestedRegion is the region of the request", KEYS),
        ),
        pytest.param({"StringEquals": {"ec2:Region": "us-east-1"}}, False, id="another region"),
        pytest.param(
            {"StringEquals": {"aws:PrincipalTag/team": "web"}},
            True,
            marks=pytest.mark.fact("aws:PrincipalTag is a tag of the signer", KEYS),
        ),
        pytest.param(
            {"StringEquals": {"aws:PrincipalTag/colour": "red"}},
            False,
            marks=pytest.mark.fact("A key that the request does not have matches no value", OPERATORS),
        ),
        pytest.param(
            {"StringNotEquals": {"aws:PrincipalTag/colour": "red"}},
            True,
            marks=pytest.mark.fact("A negated operator matches a key that the request does not have", OPERATORS),
        ),
        pytest.param(
            {"StringEqualsIfExists": {"aws:PrincipalTag/colour": "red"}},
            True,
            marks=pytest.mark.fact("IfExists matches a key that the request does not have", OPERATORS),
        ),
        pytest.param(
            {"Null": {"aws:PrincipalTag/colour": "true"}},
            True,
            marks=pytest.mark.fact("Null: true matches a key that the request does not have", OPERATORS),
        ),
        pytest.param(
            {"StringLike": {"aws:PrincipalTag/team": ["w?b", "x*"]}},
            True,
            marks=pytest.mark.fact("One of several values of a key is enough, and StringLike has wildcards", OPERATORS),
        ),
        pytest.param({"StringEquals": {"aws:PrincipalTag/team": "w?b"}}, False, id="StringEquals has no wildcards"),
        pytest.param(
            {"StringEquals": {"aws:PrincipalTag/team": "web", "ec2:Region": "us-east-1"}},
            False,
            marks=pytest.mark.fact("All keys and all operators of a condition must match", OPERATORS),
        ),
        pytest.param(
            {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
            False,
            marks=pytest.mark.fact("Dates are compared as dates", OPERATORS),
        ),
        pytest.param({"NumericGreaterThan": {"aws:EpochTime": "1000"}}, True, id="numbers"),
        pytest.param(
            {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
            True,
            marks=pytest.mark.fact("IpAddress matches addresses of a network", OPERATORS),
        ),
        pytest.param({"Bool": {"aws:SecureTransport": "true"}}, False, id="not over TLS"),
        pytest.param(
            {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/*"}},
            True,
            marks=pytest.mark.fact("ArnLike compares ARNs field by field", OPERATORS),
        ),
        pytest.param({"StringEquals": {"aws:Unheard": "of"}}, False, id="a key that nobody has"),
    ],
)
def test_conditions(enforcing: Server, condition: dict[str, Any], *, allowed: bool) -> None:
    person = user(enforcing, {"Action": "ec2:DescribeVpcs", "Condition": condition}, tags={"team": "web"})

    if allowed:
        may_list(person)
    else:
        refuses_listing(person)


@pytest.mark.fact("ForAllValues limits which tag keys a request may give", SETS)
def test_for_all_values(enforcing: Server) -> None:
    vpc = enforcing.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    only = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}}
    ec2 = user(enforcing, {"Action": "ec2:CreateTags", "Condition": only}).client("ec2")

    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "team", "Value": "web"}])
    with refused("UnauthorizedOperation", 403):
        ec2.create_tags(Resources=[vpc], Tags=[{"Key": "team", "Value": "web"}, {"Key": "other", "Value": "x"}])


# EC2


@pytest.mark.fact("aws:ResourceTag compares the tags of the resource that is changed", LAUNCH)
def test_resource_tag(enforcing: Server) -> None:
    owned = enforcing.launch_running(TagSpecifications=tags("instance", team="web"))["InstanceId"]
    other = enforcing.launch_running()["InstanceId"]
    mine = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    ec2 = user(
        enforcing,
        {"Action": "ec2:TerminateInstances", "Resource": f"{EC2}:instance/*", "Condition": mine},
        tags={"team": "web"},
    ).client("ec2")

    with refused("UnauthorizedOperation", 403, f"{EC2}:instance/{other}"):
        ec2.terminate_instances(InstanceIds=[owned, other])
    assert enforcing.instance(owned)["State"]["Name"] == "running"
    ec2.terminate_instances(InstanceIds=[owned])


@pytest.mark.fact("A dry run is refused, or answers that it would have succeeded", ec2_guide("ec2-api-permissions"))
def test_dry_run(enforcing: Server) -> None:
    instance = enforcing.launch_running()["InstanceId"]

    with refused("DryRunOperation", 412):
        user(enforcing, {"Action": "ec2:*"}).client("ec2").stop_instances(InstanceIds=[instance], DryRun=True)
    with refused("UnauthorizedOperation", 403):
        user(enforcing).client("ec2").stop_instances(InstanceIds=[instance], DryRun=True)


@pytest.mark.parametrize(
    "without", ["image/*", "instance/*", "network-interface/*", "security-group/*", "subnet/*", "volume/*"]
)
@pytest.mark.fact("RunInstances needs permission for image, instance, interface, group, subnet and volume", LAUNCH)
def test_launch_needs_each_resource(enforcing: Server, without: str) -> None:
    kinds = ["instance/*", "network-interface/*", "security-group/*", "subnet/*", "volume/*"]
    granted = [IMAGES, *(f"{EC2}:{kind}" for kind in kinds)]
    launchable(enforcing, user(enforcing, {"Action": "ec2:RunInstances", "Resource": granted}))
    rest = [one for one in granted if not one.endswith(without)]
    person = user(enforcing, {"Action": "ec2:RunInstances", "Resource": rest})

    with refused("UnauthorizedOperation", 403, without.rstrip("*")):
        launchable(enforcing, person)


@pytest.mark.fact("Tags at launch need ec2:CreateTags, with ec2:CreateAction", TAG_ON_CREATE)
def test_tags_on_creation(enforcing: Server) -> None:
    launch = {"Action": "ec2:RunInstances"}
    during = {"Action": "ec2:CreateTags", "Condition": {"StringEquals": {"ec2:CreateAction": "RunInstances"}}}
    given = tags("instance", team="web")

    with refused("UnauthorizedOperation", 403, "ec2:CreateTags on resource: " + f"{EC2}:instance/*"):
        launchable(enforcing, user(enforcing, launch), TagSpecifications=given)
    person = user(enforcing, launch, during)
    made = launchable(enforcing, person, TagSpecifications=given)["InstanceId"]
    with refused("UnauthorizedOperation", 403):
        person.client("ec2").create_tags(Resources=[made], Tags=[{"Key": "a", "Value": "b"}])


@pytest.mark.fact("aws:RequestTag compares the tags that a launch gives to what it creates", TAG_ON_CREATE)
def test_request_tag(enforcing: Server) -> None:
    person = user(
        enforcing,
        {
            "Action": "ec2:RunInstances",
            "Resource": f"{EC2}:instance/*",
            "Condition": {"StringEquals": {"aws:RequestTag/team": "web"}},
        },
        {"Action": "ec2:RunInstances", "NotResource": f"{EC2}:instance/*"},
        {"Action": "ec2:CreateTags"},
    )

    with refused("UnauthorizedOperation", 403):
        launchable(enforcing, person)
    with refused("UnauthorizedOperation", 403):
        launchable(enforcing, person, TagSpecifications=tags("instance", team="db"))
    launchable(enforcing, person, TagSpecifications=tags("instance", team="web"))


@pytest.mark.fact("ec2:InstanceType limits which types may be launched", LAUNCH)
def test_instance_type(enforcing: Server) -> None:
    small = {"StringNotLike": {"ec2:InstanceType": "t3.*"}}
    person = user(
        enforcing,
        {"Action": "ec2:*"},
        {"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": f"{EC2}:instance/*", "Condition": small},
    )

    launchable(enforcing, person)
    with refused("UnauthorizedOperation", 403, "with an explicit deny"):
        launchable(enforcing, person, InstanceType="m5.large")


def profile(cloud: Server) -> tuple[str, str]:
    """Make an instance profile, and return its name and the ARN of its role."""
    root, name = cloud.client("iam"), unique("profile")
    arn = role(cloud, trust({"Service": "ec2.amazonaws.com"}))
    root.create_instance_profile(InstanceProfileName=name)
    root.add_role_to_instance_profile(InstanceProfileName=name, RoleName=arn.rpartition("/")[2])
    return name, arn


@pytest.mark.fact(
    "Launching with an instance profile needs iam:PassRole on its role", iam_guide("id_roles_use_passrole")
)
def test_pass_role(enforcing: Server) -> None:
    name, arn = profile(enforcing)
    to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    to_ssm = {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}}
    launch = {"Action": "ec2:RunInstances"}
    passes = {"Action": "iam:PassRole", "Resource": arn}

    with refused("UnauthorizedOperation", 403, f"iam:PassRole on resource: {arn}"):
        launchable(enforcing, user(enforcing, launch), IamInstanceProfile={"Name": name})
    with refused("UnauthorizedOperation", 403, "iam:PassRole"):
        launchable(
            enforcing, user(enforcing, launch, {**passes, "Condition": to_ssm}), IamInstanceProfile={"Name": name}
        )
    launchable(enforcing, user(enforcing, launch, {**passes, "Condition": to_ec2}), IamInstanceProfile={"Name": name})


@pytest.mark.fact("Adding a role to an instance profile needs iam:PassRole", iam("AddRoleToInstanceProfile"))
def test_pass_role_to_a_profile(enforcing: Server) -> None:
    root, name = enforcing.client("iam"), unique("profile")
    arn = role(enforcing, trust({"Service": "ec2.amazonaws.com"}))
    root.create_instance_profile(InstanceProfileName=name)
    person = user(enforcing, {"Action": "iam:AddRoleToInstanceProfile"})

    with refused("AccessDenied", 403, f"iam:PassRole on resource: {arn}"):
        person.client("iam").add_role_to_instance_profile(InstanceProfileName=name, RoleName=arn.rpartition("/")[2])


@pytest.mark.fact(
    "Who makes a group must be able to launch from its template",
    autoscaling_guide("ec2-auto-scaling-launch-template-permissions"),
)
def test_group_from_a_template(enforcing: Server) -> None:
    name, arn = profile(enforcing)
    data = {"ImageId": enforcing.seed_image(), "InstanceType": "t3.micro", "IamInstanceProfile": {"Name": name}}
    made = enforcing.client("ec2").create_launch_template(LaunchTemplateName=unique("lt"), LaunchTemplateData=data)
    template = made["LaunchTemplate"]["LaunchTemplateId"]
    groups, launch = {"Action": "autoscaling:*"}, {"Action": "ec2:RunInstances"}

    def creates(*statements: dict[str, Any]) -> None:
        user(enforcing, groups, *statements).client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=unique("group"),
            MinSize=0,
            MaxSize=1,
            AvailabilityZones=[f"{REGION}a"],
            LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        )

    for too_few in ([], [launch]):
        with refused("AccessDenied", 403, f"You are not authorized to use launch template: {template}"):
            creates(*too_few)
    creates(launch, {"Action": "iam:PassRole", "Resource": arn})


@pytest.mark.fact("ec2:LaunchTemplate limits launches to templates", LAUNCH)
def test_launches_from_templates_only(enforcing: Server) -> None:
    data = {"ImageId": enforcing.seed_image(), "InstanceType": "t3.micro"}
    made = enforcing.client("ec2").create_launch_template(LaunchTemplateName=unique("lt"), LaunchTemplateData=data)
    from_template = {"ArnLike": {"ec2:LaunchTemplate": f"{EC2}:launch-template/*"}}
    person = user(enforcing, {"Action": "ec2:RunInstances", "Condition": from_template})

    with refused("UnauthorizedOperation", 403):
        launchable(enforcing, person)
    template = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"]}
    person.client("ec2").run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1)


@pytest.mark.fact("CreateImage needs permission for the instance, the image and its snapshots", LAUNCH)
def test_create_image(enforcing: Server) -> None:
    instance = enforcing.launch_running()["InstanceId"]
    person = user(enforcing, {"Action": "ec2:CreateImage", "Resource": [IMAGES, f"{EC2}:instance/*"]})

    with refused("UnauthorizedOperation", 403, f"arn:aws:ec2:{REGION}::snapshot/*"):
        person.client("ec2").create_image(InstanceId=instance, Name=unique("image"))


# Other services


@pytest.mark.fact("A group's ARN has its name at the end", autoscaling_guide("control-access-using-iam"))
def test_group_by_name(enforcing: Server) -> None:
    named = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/web-*"
    person = user(enforcing, {"Action": "autoscaling:*", "Resource": named})

    with refused("ValidationError", 400):
        person.client("autoscaling").set_desired_capacity(AutoScalingGroupName="web-1", DesiredCapacity=1)
    with refused("AccessDenied", 403, "autoScalingGroupName/db-1"):
        person.client("autoscaling").set_desired_capacity(AutoScalingGroupName="db-1", DesiredCapacity=1)


@pytest.mark.fact(
    "Parameters that AWS publishes have ARNs without an account", ssm_guide("parameter-store-public-parameters")
)
def test_public_parameters(enforcing: Server) -> None:
    public = f"arn:aws:ssm:{REGION}::parameter/aws/service/*"
    person = user(enforcing, {"Action": "ssm:GetParameter", "Resource": public})

    person.client("ssm").get_parameter(Name="/aws/service/debian/release/12/latest/amd64")
    with refused("AccessDeniedException", 400):
        person.client("ssm").get_parameter(Name="/mine")


@pytest.mark.fact(
    "SendCommand needs permission for the document and each instance", ssm_guide("run-command-setting-up")
)
def test_send_command(enforcing: Server) -> None:
    instance = enforcing.launch_running(TagSpecifications=tags("instance", team="web"))["InstanceId"]
    document = {"Action": "ssm:SendCommand", "Resource": f"arn:aws:ssm:{REGION}::document/AWS-RunShellScript"}
    tagged = {"StringEquals": {"ssm:resourceTag/team": "web"}}
    machines = {"Action": "ssm:SendCommand", "Resource": f"{EC2}:instance/*", "Condition": tagged}
    request = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [instance], "Parameters": {"commands": ["true"]}}

    user(enforcing, document, machines).client("ssm").send_command(**request)
    for one in (document, machines):
        with refused("AccessDeniedException", 400):
            user(enforcing, one).client("ssm").send_command(**request)


@pytest.mark.fact("Tags of a new target group need elasticloadbalancing:AddTags", ELB_TAGS)
def test_load_balancers_tags(enforcing: Server) -> None:
    vpc = enforcing.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    elb = user(enforcing, {"Action": "elasticloadbalancing:CreateTargetGroup"}).client("elbv2")
    request = {"Protocol": "HTTP", "Port": 80, "VpcId": vpc}

    elb.create_target_group(Name=unique("t")[:30], **request)
    with refused("AccessDenied", 403, "elasticloadbalancing:AddTags"):
        elb.create_target_group(Name=unique("t")[:30], Tags=[{"Key": "a", "Value": "b"}], **request)


@pytest.mark.fact(
    "iam:PolicyARN limits which policies may be attached", iam_guide("reference_policies_iam-condition-keys")
)
def test_policy_arn(enforcing: Server) -> None:
    name = role(enforcing, trust({"Service": "ec2.amazonaws.com"})).rpartition("/")[2]
    managed = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    only = {"ArnEquals": {"iam:PolicyARN": managed}}
    person = user(enforcing, {"Action": "iam:AttachRolePolicy", "Condition": only}).client("iam")

    person.attach_role_policy(RoleName=name, PolicyArn=managed)
    with refused("AccessDenied", 403):
        person.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


# Buckets


@pytest.mark.fact("A missing object is forbidden, not missing, to those who may not list the bucket", s3("GetObject"))
def test_missing_object(enforcing: Server) -> None:
    name = bucket(enforcing)
    reads = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    lists = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{name}"}

    with refused("AccessDenied", 403, "s3:ListBucket"):
        user(enforcing, reads).client("s3").get_object(Bucket=name, Key="none")
    with refused("NoSuchKey", 404):
        user(enforcing, reads, lists).client("s3").get_object(Bucket=name, Key="none")


@pytest.mark.fact(
    "HeadObject needs s3:GetObject, HeadBucket and the lists need s3:ListBucket",
    s3_guide("using-with-s3-policy-actions"),
)
def test_actions_of_s3(enforcing: Server) -> None:
    name = bucket(enforcing)
    reads = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    lists = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{name}"}

    user(enforcing, reads).client("s3").head_object(Bucket=name, Key="key")
    user(enforcing, lists).client("s3").head_bucket(Bucket=name)
    user(enforcing, lists).client("s3").list_objects_v2(Bucket=name)
    with refused("AccessDenied", 403):
        user(enforcing, reads).client("s3").list_objects_v2(Bucket=name)


@pytest.mark.fact("s3:prefix limits which keys are listed", s3_guide("amazon-s3-policy-keys"))
def test_prefix(enforcing: Server) -> None:
    name = bucket(enforcing)
    below = {"StringLike": {"s3:prefix": "mine/*"}}
    s3_of_user = user(enforcing, {"Action": "s3:ListBucket", "Condition": below}).client("s3")

    s3_of_user.list_objects_v2(Bucket=name, Prefix="mine/a")
    with refused("AccessDenied", 403):
        s3_of_user.list_objects_v2(Bucket=name)


@pytest.mark.fact("Within an account a bucket's policy is enough", s3_guide("access-policy-language-overview"))
def test_bucket_policy(enforcing: Server) -> None:
    person = user(enforcing)
    name = bucket(enforcing, {"Principal": {"AWS": person.arn}, "Action": "s3:GetObject"})

    person.client("s3").get_object(Bucket=name, Key="key")
    with refused("AccessDenied", 403):
        person.client("s3").put_object(Bucket=name, Key="key", Body=b"")


@pytest.mark.fact(
    "A bucket's policy that names the account leaves it to the account's own policies",
    iam_guide("reference_policies_elements_principal"),
)
def test_bucket_policy_for_the_account(enforcing: Server) -> None:
    name = bucket(enforcing, {"Principal": {"AWS": ACCOUNT}, "Action": "s3:*"})

    with refused("AccessDenied", 403):
        user(enforcing).client("s3").get_object(Bucket=name, Key="key")


@pytest.mark.fact("A bucket's policy can deny what an identity's allows, also to the root", EVALUATION)
def test_bucket_policy_denies(enforcing: Server) -> None:
    name = bucket(enforcing, {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"})

    for client in (user(enforcing, {"Action": "s3:*"}).client("s3"), enforcing.client("s3")):
        with refused("AccessDenied", 403, "with an explicit deny in a resource-based policy"):
            client.get_object(Bucket=name, Key="key")


@pytest.mark.fact(
    "Across accounts both the bucket's policy and the identity's must allow",
    iam_guide("reference_policies_evaluation-logic-cross-account"),
)
def test_other_accounts_bucket(enforcing: Server) -> None:
    owner = other_account(enforcing, "s3")
    closed = bucket(enforcing, client=owner)
    shared = bucket(enforcing, {"Principal": {"AWS": ACCOUNT}, "Action": "s3:GetObject"}, owner)
    allowed, not_allowed = user(enforcing, {"Action": "s3:*"}).client("s3"), user(enforcing).client("s3")

    assert allowed.get_object(Bucket=shared, Key="key")["Body"].read() == b"content"
    with refused("AccessDenied", 403):
        not_allowed.get_object(Bucket=shared, Key="key")
    with refused("AccessDenied", 403, "because no resource-based policy allows the s3:GetObject action"):
        allowed.get_object(Bucket=closed, Key="key")


def test_the_request_log_has_the_missing_statement(enforcing: Server) -> None:
    person = user(enforcing)
    refuses_listing(person)

    entry = enforcing.admin("requests")[-1]

    assert entry["principal"] == person.key
    assert entry["missing"].startswith('{"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}')


@pytest.mark.fact(
    "DeleteObjects answers for each key by itself whether it was denied",
    s3("DeleteObjects"),
    wrong="one denied key has the whole request refused",
)
def test_delete_objects(enforcing: Server) -> None:
    name = bucket(enforcing)
    person = user(enforcing, {"Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{name}/mine"})

    answer = person.client("s3").delete_objects(Bucket=name, Delete={"Objects": [{"Key": "key"}, {"Key": "mine"}]})

    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]


@pytest.mark.fact(
    "The first group of an account makes a service-linked role, for which its creator needs the permission",
    autoscaling_guide("autoscaling-service-linked-role"),
    wrong="no service-linked role is made, and no permission for it needed",
)
def test_service_linked_role(enforcing: Server) -> None:
    data = {"ImageId": enforcing.seed_image(), "InstanceType": "t3.micro"}
    made = enforcing.client("ec2").create_launch_template(LaunchTemplateName=unique("lt"), LaunchTemplateData=data)
    template = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    person = user(enforcing, {"Action": ["autoscaling:*", "ec2:*"]})

    with refused("AccessDenied", 403):
        person.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=unique("group"),
            MinSize=0,
            MaxSize=1,
            AvailabilityZones=[f"{REGION}a"],
            LaunchTemplate=template,
        )


@pytest.mark.fact(
    "A bucket without public access block may be opened to everybody",
    s3_guide("access-control-block-public-access"),
    wrong="requests without a signature are refused, whatever the bucket's policy",
)
def test_public_bucket(enforcing: Server) -> None:
    name = bucket(enforcing, {"Principal": "*", "Action": "s3:GetObject"})

    with urllib.request.urlopen(f"{enforcing.url}/{name}/key", timeout=10) as answer:
        assert answer.read() == b"content"
