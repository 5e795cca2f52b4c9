"""Which resources a request is about: their ARNs, tags and condition keys.

Most follow from AWS's table and the API's model: a placeholder in a type's ARN has the name of a parameter, and an ARN
in the parameters is of one type. What does not follow is in the functions of each service, here and in `ec2_resources`
and `s3_resources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.iam import ec2_resources
from localcloud.iam.context import Values
from localcloud.iam.found import Found, Question, UnmappedError, texts, value_of
from localcloud.iam.principals import iam_of, tag_values
from localcloud.iam.table import ResourceType

Tags = Mapping[str, str] | None


def find(question: Question) -> list[Found]:
    """Return the resources of a request; of one that is about none, `*`."""
    service = question.action.name.partition(":")[0]
    if service == "ec2":
        return ec2_resources.find(question)
    keys = _by_params(service, question)
    found: list[Found] = []
    missing = []
    for kind in question.action.types:
        arns = (_ARNS.get((service, kind.name)) or _by_placeholders)(question, kind)
        found += [Found(kind.name, arn, _tags(question, service, kind, arn), keys) for arn in sorted(arns)]
        if not arns and kind.required:
            missing.append(kind)
    # Where a table marks several types as required, they are alternatives: one resource is enough.
    if not found and question.must_name:
        raise UnmappedError(question.action.types[0].name)
    if not found and missing:
        found = [Found(kind.name, question.arn(kind, {}), {}, keys) for kind in missing]
    return found or [Found("", "*", {}, keys)]


def _by_placeholders(question: Question, kind: ResourceType) -> set[str]:
    """Return the ARNs that the parameters give, or whose last placeholder they name, also in the plural."""
    given = {text for text in texts(question.params) if text.startswith("arn:") and kind.describes(text)}
    if given or not kind.placeholders:
        return given
    last = kind.placeholders[-1]
    wanted = {last.lower(), f"{last.lower()}s"}
    names = [one for key, value in question.params.items() if key.lower() in wanted for one in value_of(value)]
    return {question.arn(kind, {last: name}) for name in names}


def _by_params(service: str, question: Question) -> dict[str, Values]:
    """Return the keys that are named like parameters, and the tags that the request gives."""
    keys: dict[str, Values] = {}
    known = question.action.keys.union(*(kind.keys for kind in question.action.types))
    for name, value in question.params.items():
        for spelling in (name.lower(), name.lower().removesuffix("s"), f"{name.lower()}s"):
            if f"{service}:{spelling}" in known:
                keys[f"{service}:{spelling}"] = value_of(value)
    tags = question.params.get("Tags")
    if isinstance(tags, list):
        keys |= ec2_resources.request_tags(tag_values(tags))
    elif isinstance(question.params.get("TagKeys"), list):
        keys["aws:tagkeys"] = tuple(question.params["TagKeys"])
    return keys


# Auto Scaling


def _groups(question: Question, kind: ResourceType) -> set[str]:
    params, backend = question.params, question.backend("autoscaling")
    names = set(value_of(params.get("AutoScalingGroupName")))
    names |= {str(tag.get("ResourceId")) for tag in params.get("Tags") or [] if tag.get("ResourceId")}
    if not names and (instance := params.get("InstanceId")):
        states = {
            state.instance.id: group.name
            for group in backend.autoscaling_groups.values()
            for state in group.instance_states
        }
        names = {states[instance]} if instance in states else {"*"}
    return {question.arn(kind, {"GroupFriendlyName": name}) for name in names}


# Load balancing


def _balancers(question: Question, kind: ResourceType) -> set[str]:
    if question.action.name == "elasticloadbalancing:CreateLoadBalancer":
        types = {"application": "app", "network": "net", "gateway": "gwy"}
        wanted = types.get(question.params.get("Type") or "application")
        name = {"LoadBalancerName": str(question.params.get("Name"))}
        return {question.arn(kind, name)} if kind.name == f"loadbalancer/{wanted}/" else set()
    return _by_placeholders(question, kind)


def _target_groups(question: Question, kind: ResourceType) -> set[str]:
    if question.action.name == "elasticloadbalancing:CreateTargetGroup":
        return {question.arn(kind, {"TargetGroupName": str(question.params.get("Name"))})}
    return _by_placeholders(question, kind)


# Systems Manager


def _ssm(record: str, public: str, *parameters: str) -> Callable[[Question, ResourceType], set[str]]:
    """Return a search for parameters or documents; AWS's own, whose names begin with `public`, are in no account."""

    def find_records(question: Question, kind: ResourceType) -> set[str]:
        params, arns = question.params, set()
        names = [name for parameter in parameters for name in value_of(params.get(parameter))]
        names += value_of(params.get("ResourceId")) if params.get("ResourceType") == record else ()
        if question.action.name == "ssm:StartSession":
            names = names or ["SSM-SessionManagerRunShell"]
        for name in names:
            plain = name.partition(":")[0].removeprefix("/")
            arn = name if name.startswith("arn:") else question.arn(kind, {kind.placeholders[-1]: plain})
            arns.add(arn.replace(f":{question.account}:", "::", 1) if name.startswith(public) else arn)
        return arns

    return find_records


def _instances(question: Question, kind: ResourceType) -> set[str]:
    params = question.params
    ids = value_of(params.get("InstanceIds")) + value_of(params.get("InstanceId")) + value_of(params.get("Target"))
    if not ids and params.get("Targets"):
        ids = ("*",)
    return {question.arn(kind, {"InstanceId": one}) for one in ids if not one.startswith("mi-")}


# IAM and STS


def _iam(record: str, *names: str) -> Callable[[Question, ResourceType], set[str]]:
    """Return a search for the records of IAM that some parameters name, which have paths in their ARNs."""

    def find_records(question: Question, kind: ResourceType) -> set[str]:
        iam, params = iam_of(question.account), question.params
        records: Any = getattr(iam, record)
        found = set()
        for name in (value for parameter in names for value in value_of(params.get(parameter))):
            known = next((one for one in records.values() if one.name == name), None)
            path = str(params.get("Path") or "/") if question.creates else "/"
            found.add(known.arn if known else question.arn(kind, {kind.placeholders[-1]: f"{path[1:]}{name}"}))
        return found

    return find_records


def _users(question: Question, kind: ResourceType) -> set[str]:
    """Return the user that is named, or else the caller."""
    own = {question.caller} if ":user/" in question.caller else set()
    return _iam("users", "UserName")(question, kind) or own


def _linked_roles(question: Question, kind: ResourceType) -> set[str]:
    if question.action.name != "iam:CreateServiceLinkedRole":
        return _iam("roles", "RoleName")(question, kind)
    service = question.params.get("AWSServiceName")
    return {question.arn(kind, {"RoleNameWithPath": f"aws-service-role/{service}/*"})}


def _policies(question: Question, kind: ResourceType) -> set[str]:
    if question.action.name == "iam:CreatePolicy":
        return _iam("managed_policies", "PolicyName")(question, kind)
    return _by_placeholders(question, kind)


_ARNS: dict[tuple[str, str], Callable[[Question, ResourceType], set[str]]] = {
    ("autoscaling", "autoScalingGroup"): _groups,
    ("elasticloadbalancing", "loadbalancer/app/"): _balancers,
    ("elasticloadbalancing", "loadbalancer/net/"): _balancers,
    ("elasticloadbalancing", "loadbalancer/gwy/"): _balancers,
    ("elasticloadbalancing", "targetgroup"): _target_groups,
    ("iam", "group"): _iam("groups", "GroupName"),
    ("iam", "instance-profile"): _iam("instance_profiles", "InstanceProfileName"),
    ("iam", "policy"): _policies,
    ("iam", "role"): _linked_roles,
    ("iam", "user"): _users,
    ("ssm", "document"): _ssm("Document", "AWS-", "DocumentName", "Name"),
    ("ssm", "instance"): _instances,
    ("ssm", "managed-instance"): lambda _, __: set(),
    ("ssm", "parameter"): _ssm("Parameter", "/aws/", "Name", "Names", "Path"),
}


# Tags and keys


def _tags(question: Question, service: str, kind: ResourceType, arn: str) -> Tags:
    """Return a resource's tags, or None when it is not known which they are."""
    find_tags = _TAGS.get((service, kind.name)) or _TAGS.get((service, ""))
    return find_tags(question, arn) if find_tags else None


def _group_tags(question: Question, arn: str) -> Tags:
    group = question.backend("autoscaling").autoscaling_groups.get(arn.rpartition("/")[2])
    return tag_values(group.tags) if group else {}


def _balancing_tags(question: Question, arn: str) -> Tags:
    tags: Mapping[str, str] = question.backend("elbv2").tagging_service.get_tag_dict_for_resource(arn)
    return tags


def _parameter_tags(question: Question, arn: str) -> Tags:
    backend, name = question.backend("ssm"), arn.partition(":parameter/")[2]
    tags = backend._resource_tags["Parameter"]  # noqa: SLF001 # moto's listing makes an entry for each name
    return dict(tags.get(f"/{name}") or tags.get(name) or {})


def _instance_tags(question: Question, arn: str) -> Tags:
    name = arn.rpartition("/")[2]
    return None if name == "*" else dict(question.backend("ec2").tags.get(name, {}))


def _iam_tags(record: str) -> Callable[[Question, str], Tags]:
    def find_tags(_: Question, arn: str) -> Tags:
        records: Any = getattr(iam_of(arn.split(":")[4]), record)
        tags = next((one.tags for one in records.values() if one.arn == arn), None)
        return tags if isinstance(tags, dict) else tag_values(tags or [])

    return find_tags


_TAGS: dict[tuple[str, str], Callable[[Question, str], Tags]] = {
    ("autoscaling", "autoScalingGroup"): _group_tags,
    ("elasticloadbalancing", ""): _balancing_tags,
    ("iam", "instance-profile"): _iam_tags("instance_profiles"),
    ("iam", "role"): _iam_tags("roles"),
    ("iam", "user"): _iam_tags("users"),
    ("ssm", "document"): lambda _, __: {},
    ("ssm", "instance"): _instance_tags,
    ("ssm", "parameter"): _parameter_tags,
    ("sts", "role"): _iam_tags("roles"),
}
