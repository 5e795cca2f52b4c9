"""Which permissions a request needs: its own action on each of its resources, and those for what it does besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from localcloud.iam import ec2_resources, resources, s3_resources, table
from localcloud.iam.context import Need, Values
from localcloud.iam.found import NOT_RESOURCES, Found, Question, UnmappedError, value_of
from localcloud.iam.principals import Principal, iam_of, tag_values

if TYPE_CHECKING:
    from localcloud.call import Call
    from localcloud.cloud import Cloud

FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""Actions that need no permission."""
LAUNCHING = frozenset({"CreateAutoScalingGroup", "UpdateAutoScalingGroup", "StartInstanceRefresh"})
"""Actions of Auto Scaling whose caller must be able to launch what they name."""
_NOT_MAPPED = frozenset({"CreateFleet", "RequestSpotFleet", "RunScheduledInstances"})
"""Actions that launch in their caller's name, whose launches are not evaluated."""
_TAGGING = {
    "elasticloadbalancing": "AddTags",
    "ssm:PutParameter": "AddTagsToResource",
    "iam:CreateInstanceProfile": "TagInstanceProfile",
    "iam:CreatePolicy": "TagPolicy",
    "iam:CreateRole": "TagRole",
    "iam:CreateUser": "TagUser",
}
"""The action that tags what a service, or an action, creates."""


def needs_of(call: Call, cloud: Cloud, caller: Principal) -> list[Need]:
    """Return the permissions that a request needs of its caller."""
    service = table.PREFIXES.get(call.service, call.service)
    if f"{service}:{call.action}" in FREE:
        return []
    if call.operation is None or call.action in _NOT_MAPPED:
        raise UnmappedError(call.action)
    if service == "s3":
        return [
            _need(_action("s3", action), s3_resources.found(kind, bucket, key, call), caller.account)
            for action, kind, bucket, key in s3_resources.permissions(call)
        ]
    question = _question(cloud, caller, call, _action(service, call.action), call.params)
    found = resources.find(question)
    needs = [_need(question.action, one, caller.account) for one in found]
    if question.action.name == "sts:AssumeRole":
        params = call.params
        extra = ["TagSession"] * bool(params.get("Tags")) + ["SetSourceIdentity"] * bool(params.get("SourceIdentity"))
        return [_need(_action("sts", name), one, caller.account) for name in ["AssumeRole", *extra] for one in found]
    return [*needs, *_tagging(question, found), *_passing(question)]


def launching(call: Call, cloud: Cloud, caller: Principal) -> tuple[str, list[Need]]:
    """Return the launch template that an action of Auto Scaling names, and the permissions that launching it needs."""
    params = call.params
    named = params.get("DesiredConfiguration") or params
    mixed = (named.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    spec = named.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification")
    if call.service != "autoscaling" or call.action not in LAUNCHING or not spec:
        return "", []
    subnets = [one for one in str(params.get("VPCZoneIdentifier") or "").split(",") if one]
    given: dict[str, Any] = {"LaunchTemplate": spec, **({"SubnetId": subnets[0].strip()} if subnets else {})}
    question = _question(cloud, caller, call, _action("ec2", "RunInstances"), given)
    found = ec2_resources.launch(question, given)
    needs = [_need(question.action, one, caller.account) for one in found]
    identity = str(spec.get("LaunchTemplateId") or spec.get("LaunchTemplateName"))
    return identity, [*needs, *_tagging(question, found), *_passing(question)]


def listing(bucket: str, owner: str) -> Need:
    """Return the permission to list a bucket, which decides whether a missing object is reported as missing."""
    return _need(_action("s3", "ListBucket"), Found("bucket", f"arn:aws:s3:::{bucket}", {}, {}, owner), owner)


def _question(cloud: Cloud, caller: Principal, call: Call, action: table.Action, params: Mapping[str, Any]) -> Question:
    shape = call.operation.input_shape if call.operation else None
    return Question(
        cloud,
        caller.account,
        caller.arn,
        call.scope.region,
        action,
        {**dict.fromkeys(shape.members if shape else ()), **params},
    )


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
    # A listener is created on a load balancer, and a rule on a listener: that is the resource of the creation.
    before, after = {"CreateListener": ("loadbalancer", "listener"), "CreateRule": ("listener", "listener-rule")}.get(
        name, ("", "")
    )
    arns = [one.arn.replace(f":{before}/", f":{after}/", 1) + "/*" if before else one.arn for one in found]
    return [_need(action, Found("", arn, {}, keys), question.account) for arn in arns]


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
    params: Mapping[str, Any] = question.params
    if name == "RunInstances":
        _, _, params = ec2_resources.effective(question, params)
    receiver, roles = service, set(_roles_in(params, question.account))
    if name == "AddRoleToInstanceProfile":
        receiver, roles = "ec2", {_role_arn(question.account, str(params.get("RoleName")))}
    elif service in {"iam", "sts"} or name.startswith("CreateLaunchTemplate"):  # a template is checked when it is used
        return []
    elif name == "CreateLaunchConfiguration":
        receiver = "ec2"
    if not roles:
        return []
    action = _action("iam", "PassRole")
    keys: dict[str, Values] = {"iam:passedtoservice": (f"{receiver}.amazonaws.com",)}
    return [_need(action, Found("role", arn, None, keys), question.account) for arn in sorted(roles)]


def _roles_in(params: Any, account: str) -> Iterator[str]:
    """Yield the ARNs of roles, and of those in instance profiles, that parameters name at any depth."""
    if isinstance(params, Mapping):
        for name, value in params.items():
            if name.lower().endswith("rolearn"):
                yield from value_of(value)
            elif name == "IamInstanceProfile":
                yield from _roles_of(account, value or {})
            elif name not in NOT_RESOURCES:
                yield from _roles_in(value, account)
    elif isinstance(params, list):
        for value in params:
            yield from _roles_in(value, account)


def _roles_of(account: str, profile: Mapping[str, Any] | str) -> set[str]:
    """Return the roles of an instance profile, by its name or ARN."""
    name = profile if isinstance(profile, str) else str(profile.get("Name") or profile.get("Arn") or "")
    profiles = iam_of(account).instance_profiles.values()
    return {role.arn for one in profiles if one.name == name.rpartition("/")[2] for role in one.roles}


def _role_arn(account: str, name: str) -> str:
    role = next((one for one in iam_of(account).roles.values() if one.name == name), None)
    return role.arn if role else f"arn:aws:iam::{account}:role/{name}"
