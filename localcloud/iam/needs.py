"""Which permissions a request needs: its own action on each of its resources, and those for what it does besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from localcloud.iam import ec2_resources, resources, s3_resources, table
from localcloud.iam.context import Need, Values
from localcloud.iam.found import Found, Question, UnmappedError, value_of
from localcloud.iam.principals import iam_of, tag_values

if TYPE_CHECKING:
    from localcloud.call import Call
    from localcloud.cloud import Cloud

FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""Actions that need no permission."""
LAUNCHING = frozenset({"CreateAutoScalingGroup", "UpdateAutoScalingGroup", "StartInstanceRefresh"})
"""Actions of Auto Scaling whose caller must be able to launch what they name."""
_TAGGING = {
    "elasticloadbalancing": "AddTags",
    "ssm:PutParameter": "AddTagsToResource",
    "iam:CreateInstanceProfile": "TagInstanceProfile",
    "iam:CreatePolicy": "TagPolicy",
    "iam:CreateRole": "TagRole",
    "iam:CreateUser": "TagUser",
}
"""The action that tags what a service, or an action, creates."""


def needs_of(call: Call, cloud: Cloud, account: str) -> list[Need]:
    """Return the permissions that a request needs of its caller.

    Raises:
        UnmappedError: the action or a resource of it is not known here.
    """
    service = table.PREFIXES.get(call.service, call.service)
    if f"{service}:{call.action}" in FREE:
        return []
    if call.operation is None:
        raise UnmappedError(call.action)
    if service == "s3":
        return [
            _need(_action("s3", action), s3_resources.found(kind, bucket, key, call), account)
            for action, kind, bucket, key in s3_resources.permissions(call)
        ]
    question = Question(cloud, account, call.scope.region, _action(service, call.action), call.params)
    found = resources.find(question)
    needs = [_need(question.action, one, account) for one in found]
    if question.action.name == "sts:AssumeRole":
        params = call.params
        extra = ["TagSession"] * bool(params.get("Tags")) + ["SetSourceIdentity"] * bool(params.get("SourceIdentity"))
        return [_need(_action("sts", name), one, account) for name in ["AssumeRole", *extra] for one in found]
    return [*needs, *_tagging(question, found), *_passing(question)]


def launching(call: Call, cloud: Cloud, account: str) -> tuple[str, list[Need]]:
    """Return the launch template that an action of Auto Scaling names, and the permissions that launching it needs."""
    params = call.params
    spec = (params.get("DesiredConfiguration") or params).get("LaunchTemplate")
    if call.service != "autoscaling" or call.action not in LAUNCHING or not spec:
        return "", []
    subnets = [one for one in str(params.get("VPCZoneIdentifier") or "").split(",") if one]
    given: dict[str, Any] = {"LaunchTemplate": spec, **({"SubnetId": subnets[0].strip()} if subnets else {})}
    question = Question(cloud, account, call.scope.region, _action("ec2", "RunInstances"), given)
    found = ec2_resources.launch(question, given)
    needs = [_need(question.action, one, account) for one in found]
    identity = str(spec.get("LaunchTemplateId") or spec.get("LaunchTemplateName"))
    return identity, [*needs, *_tagging(question, found), *_passing(question)]


def listing(bucket: str, owner: str) -> Need:
    """Return the permission to list a bucket, which decides whether a missing object is reported as missing."""
    return _need(_action("s3", "ListBucket"), Found("bucket", f"arn:aws:s3:::{bucket}", {}, {}, owner), owner)


def _action(service: str, name: str) -> table.Action:
    action = table.action(service, name)
    if action is None:
        raise UnmappedError(f"{service}:{name}")
    return action


def _need(action: table.Action, found: Found, account: str) -> Need:
    declared = next((kind.keys for kind in action.types if kind.name == found.kind), action.keys)
    return Need(action.name, found.arn, declared, found.keys, found.tags, found.account or account)


def _tagging(question: Question, found: Iterable[Found]) -> list[Need]:
    """Return the permissions to tag what the request creates."""
    service, _, name = question.action.name.partition(":")
    if service == "ec2":
        return _ec2_tagging(question, name)
    tagging = _TAGGING.get(question.action.name) or (_TAGGING.get(service) if question.creates else None)
    if not tagging or not question.params.get("Tags"):
        return []
    action = _action(service, tagging)
    keys: dict[str, Values] = ec2_resources.request_tags(tag_values(question.params["Tags"]))
    keys[f"{service}:createaction"] = (name,)
    return [_need(action, Found(one.kind, _created(one), {}, keys), question.account) for one in found]


def _created(found: Found) -> str:
    """Return what is tagged: a listener that is created is not the load balancer that it is created on."""
    return found.arn


def _ec2_tagging(question: Question, name: str) -> list[Need]:
    params = question.params
    if name == "RunInstances":
        _, _, params = ec2_resources.effective(question, params)
    action, needs = _action("ec2", "CreateTags"), []
    kinds = {kind.name: kind for kind in action.types}
    for kind in sorted({str(one.get("ResourceType")) for one in params.get("TagSpecifications") or []}):
        tags = ec2_resources.tags_for(params, kind)
        if kind not in kinds:
            raise UnmappedError(kind)
        keys = {**ec2_resources.request_tags(tags), "ec2:createaction": (name,), "ec2:region": (question.region,)}
        arn = question.arn(kinds[kind], {})
        needs += [_need(action, Found(kind, arn, {}, keys), question.account)] if tags else []
    return needs


def _passing(question: Question) -> list[Need]:
    """Return the permissions to pass the roles that the request hands to a service."""
    service, _, name = question.action.name.partition(":")
    arns: set[str] = set()
    if service == "ec2" and name in {
        "RunInstances",
        "AssociateIamInstanceProfile",
        "ReplaceIamInstanceProfileAssociation",
    }:
        params: Mapping[str, Any] = question.params
        if name == "RunInstances":
            _, _, params = ec2_resources.effective(question, params)
        arns, service = _roles_of(question.account, params.get("IamInstanceProfile") or {}), "ec2"
    elif question.action.name == "iam:AddRoleToInstanceProfile":
        arns = {_role_arn(question.account, str(question.params.get("RoleName")))}
        service = "ec2"
    elif service not in {"iam", "sts"}:
        roles = [value for key, value in question.params.items() if key.lower().endswith("rolearn")]
        arns = {one for role in roles for one in value_of(role)}
    action = _action("iam", "PassRole") if arns else None
    keys: dict[str, Values] = {"iam:passedtoservice": (f"{service}.amazonaws.com",)}
    return [_need(action, Found("role", arn, None, keys), question.account) for arn in sorted(arns) if action]


def _roles_of(account: str, profile: Mapping[str, Any]) -> set[str]:
    """Return the roles of an instance profile, by its name or ARN."""
    name = str(profile.get("Name") or profile.get("Arn") or "").rpartition("/")[2]
    profiles = iam_of(account).instance_profiles.values()
    return {role.arn for one in profiles if one.name == name for role in one.roles}


def _role_arn(account: str, name: str) -> str:
    role = next((one for one in iam_of(account).roles.values() if one.name == name), None)
    return role.arn if role else f"arn:aws:iam::{account}:role/{name}"
