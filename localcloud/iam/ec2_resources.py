"""The resources of EC2's actions.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE

from localcloud.ec2.validation import SSM_IMAGE
from localcloud.iam.context import Values
from localcloud.iam.found import Found, Question, UnmappedError, texts, value_of
from localcloud.iam.principals import tag_values
from localcloud.iam.table import ResourceType

_ID = re.compile(r"([a-z]+(?:-[a-z]+)*)-[0-9a-f]{4,}")
_RENAMED = {"dedicated_host": "dedicated-host", "vpc-elastic-ip": "elastic-ip", "flow-logs": "vpc-flow-log"}
"""AWS's names of types where moto has others."""
COPIES = {"ec2:CopyImage", "ec2:CopySnapshot"}


def find(question: Question) -> list[Found]:
    """Return the resources of a request."""
    if question.action.name == "ec2:RunInstances":
        return launch(question, question.params)
    ec2 = question.backend("ec2")
    found: list[Found] = []
    for kind in question.action.types:
        ids = _ids(question, ec2, kind.name)
        found += [existing(question, ec2, kind, one) for one in sorted(ids)]
        if not ids and kind.required:
            named = [one for one in ("KeyName", "GroupName", "LaunchTemplateName") if question.params.get(one)]
            if not (question.creates or question.reads or named):
                raise UnmappedError(kind.name)
            found.append(created(question, kind))
    if not found and question.must_name:
        raise UnmappedError(question.action.types[0].name)
    return found or [Found("", "*", keys={"ec2:region": (question.region,)})]


def _ids(question: Question, ec2: Any, kind: str) -> set[str]:
    """Return the ids of that type that the parameters name, in whichever way."""
    params = question.params
    if question.action.name in COPIES:
        return set()  # they are about what they make, not about what they copy
    ids = {text for text in texts(params) if kind_of(text) == kind}
    if kind == "key-pair":
        keys = {pair.id: pair.key_name for pair in ec2.key_pairs.values()} if ids else {}
        return {keys.get(one, one) for one in ids} | set(value_of(params.get("KeyName")))
    if kind == "security-group" and question.action.name != "ec2:CreateSecurityGroup":
        names = value_of(params.get("GroupName")) + value_of(params.get("SecurityGroups"))
        ids |= {group.id for name in names if (group := ec2.get_security_group_by_name_or_id(name))}
    if kind == "launch-template" and question.action.name != "ec2:CreateLaunchTemplate":
        ids |= {one for name in value_of(params.get("LaunchTemplateName")) if (one := _template_id(ec2, name))}
    return ids


def kind_of(text: str) -> str:
    """Return the type of resource whose id a text is; "" of any other text."""
    found = _ID.fullmatch(text)
    kind = EC2_PREFIX_TO_RESOURCE.get(found[1], "") if found else ""
    return _RENAMED.get(kind, kind)


def _template_id(ec2: Any, name: str) -> str:
    return str(ec2.launch_template_name_to_ids.get(name, ""))


def existing(question: Question, ec2: Any, kind: ResourceType, name: str) -> Found:
    """Return a resource by its id (a key pair by its name); one that does not exist has no tags."""
    keys = {"ec2:region": (question.region,), **_by_params(question)}
    resource = _find(ec2, kind.name, name)
    if resource is not None:
        keys |= _keys_of(kind.name, resource, question)
    identity = getattr(resource, "id", name)
    return Found(kind.name, question.arn(kind, {kind.placeholders[0]: name}), dict(ec2.tags.get(identity, {})), keys)


def created(question: Question, kind: ResourceType) -> Found:
    """Return a resource that the request creates."""
    keys = {"ec2:region": (question.region,), **_by_params(question)}
    return Found(kind.name, question.arn(kind, {}), {}, {**keys, **request_tags(tags_for(question.params, kind.name))})


def _by_params(question: Question) -> dict[str, Values]:
    """Return the keys that are named like parameters, and the tags of CreateTags and DeleteTags."""
    keys = {f"ec2:{name.lower()}": value_of(value) for name, value in question.params.items()}
    attribute = question.params.get("Attribute")
    if isinstance(attribute, str):
        keys[f"ec2:attribute/{attribute.lower()}"] = value_of(question.params.get("Value"))
    if isinstance(question.params.get("Tags"), list):
        keys |= request_tags(tag_values(question.params["Tags"]))
    return keys


def request_tags(tags: Mapping[str, str]) -> dict[str, Values]:
    """Return the condition keys of the tags that a request gives."""
    return {
        **{f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()},
        "aws:tagkeys": tuple(tags),
    }


def tags_for(params: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return the tags that a request gives to what it creates of that type."""
    return {
        key: value
        for specification in params.get("TagSpecifications") or []
        if specification.get("ResourceType") == kind
        for key, value in tag_values(specification.get("Tags") or []).items()
    }


def template_of(question: Question, spec: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the id of a launch template, and what the version that is meant says; nothing of one that is not there."""
    ec2 = question.backend("ec2")
    identity = spec.get("LaunchTemplateId") or _template_id(ec2, spec.get("LaunchTemplateName") or "")
    template = ec2.launch_templates.get(identity)
    try:
        data = template.get_version(spec.get("Version") or "$Default").data if template else {}
    except (ServiceException, ValueError):
        data = {}
    return identity, data


def effective(question: Question, params: Mapping[str, Any]) -> tuple[str, set[str], dict[str, Any]]:
    """Return what a launch is made from: its template's id, what only the template says, and all parameters."""
    spec = params.get("LaunchTemplate") or {}
    identity, data = template_of(question, spec) if spec else ("", {})
    merged = {**data, **{name: value for name, value in params.items() if value not in (None, [], "")}}
    merged["TagSpecifications"] = [*(data.get("TagSpecifications") or []), *(params.get("TagSpecifications") or [])]
    return identity, {name for name in data if params.get(name) in (None, [], "")}, merged


def launch(question: Question, given: Mapping[str, Any]) -> list[Found]:
    """Return the resources of RunInstances, also for groups, which launch in their creator's name."""
    ec2 = question.backend("ec2")
    template, inherited, params = effective(question, given)
    kinds = {kind.name: kind for kind in question.action.types}
    interfaces = params.get("NetworkInterfaces") or []
    subnets = _named(params, "SubnetId") | {one for each in interfaces for one in _named(each, "SubnetId")}
    subnet = _find(ec2, "subnet", min(subnets)) if subnets else _default_subnet(ec2)
    groups = _named(params, "SecurityGroupIds", "SecurityGroupId")
    groups |= {one for each in interfaces for one in _named(each, "Groups")}
    groups |= {
        group.id
        for name in _named(params, "SecurityGroups", "SecurityGroup")
        if (group := ec2.get_security_group_by_name_or_id(name))
    }
    vpc = subnet.vpc_id if subnet else ""
    if not groups and vpc and (default := ec2.get_default_security_group(vpc)):
        groups = {default.id}
    image = str(params.get("ImageId") or "")
    if image.startswith(SSM_IMAGE):
        parameter = question.backend("ssm").get_parameter(image.removeprefix(SSM_IMAGE))
        image = parameter.value if parameter else ""
    named = {
        "image": {image} - {""},
        "subnet": subnets or ({subnet.id} if subnet else set()),
        "security-group": groups,
        "key-pair": _named(params, "KeyName"),
        "launch-template": {template} - {""},
        "snapshot": {text for text in texts(params.get("BlockDeviceMappings")) if kind_of(text) == "snapshot"},
        "network-interface": {one for each in interfaces for one in _named(each, "NetworkInterfaceId")},
    }
    parameters = {
        "image": "ImageId", "subnet": "SubnetId", "security-group": "SecurityGroupIds", "key-pair": "KeyName",
        "instance": "InstanceType", "volume": "BlockDeviceMappings", "network-interface": "NetworkInterfaces",
    }  # fmt: skip
    found = [existing(question, ec2, kinds[kind], one) for kind, ids in named.items() for one in sorted(ids)]
    new = ["instance", "volume"] if named["network-interface"] else ["instance", "volume", "network-interface"]
    asked = replace(question, params=params)
    keys = {"instance": _instance_request(asked, subnet), "volume": _volume_request(params)}
    keys["network-interface"] = _interface_request(asked, subnet, interfaces)
    found += [_with(created(asked, kinds[kind]), keys[kind]) for kind in new]
    arn = question.arn(kinds["launch-template"], {"LaunchTemplateId": template})
    for at, each in enumerate(found):
        from_template = parameters.get(each.kind, "") in inherited
        found[at] = _with(
            each,
            {
                "ec2:launchtemplate": (arn,) if template else (),
                "ec2:islaunchtemplateresource": (str(from_template).lower(),) if template else (),
            },
        )
    return found


def _with(found: Found, keys: Mapping[str, Values]) -> Found:
    return Found(found.kind, found.arn, found.tags, {**found.keys, **keys})


def _named(params: Mapping[str, Any], *names: str) -> set[str]:
    return {value for name in names for value in value_of(params.get(name))}


def _default_subnet(ec2: Any) -> Any:
    return next(iter(ec2.get_default_subnets().values()), None)


def _instance_request(question: Question, subnet: Any) -> dict[str, Values]:
    params = question.params
    metadata = params.get("MetadataOptions") or {}
    profile = params.get("IamInstanceProfile") or {}
    name = profile.get("Arn") or profile.get("Name") or ""
    arn = name if name.startswith("arn:") or not name else f"arn:aws:iam::{question.account}:instance-profile/{name}"
    return {
        "ec2:availabilityzone": (subnet.availability_zone,) if subnet else (),
        "ec2:ebsoptimized": (str(params.get("EbsOptimized", False)).lower(),),
        "ec2:instancemarkettype": ("spot" if params.get("InstanceMarketOptions") else "on-demand",),
        "ec2:instanceprofile": (arn,) if arn else (),
        "ec2:metadatahttpendpoint": value_of(metadata.get("HttpEndpoint")),
        "ec2:metadatahttpputresponsehoplimit": value_of(metadata.get("HttpPutResponseHopLimit")),
        "ec2:metadatahttptokens": value_of(metadata.get("HttpTokens")),
        "ec2:rootdevicetype": ("ebs",),
        "ec2:tenancy": value_of((params.get("Placement") or {}).get("Tenancy") or "default"),
    }


def _volume_request(params: Mapping[str, Any]) -> dict[str, Values]:
    """Return the keys of volumes; several have several values, of which an Allow must name one and a Deny any."""
    disks = [mapping.get("Ebs") or {} for mapping in params.get("BlockDeviceMappings") or []]
    names = {"volumesize": "VolumeSize", "volumetype": "VolumeType", "encrypted": "Encrypted", "volumeiops": "Iops"}
    return {f"ec2:{key}": value_of([disk[name] for disk in disks if name in disk]) for key, name in names.items()}


def _interface_request(question: Question, subnet: Any, interfaces: Iterable[Mapping[str, Any]]) -> dict[str, Values]:
    public = [each["AssociatePublicIpAddress"] for each in interfaces if "AssociatePublicIpAddress" in each]
    place = _place(question, subnet) if subnet else {}
    return {**place, "ec2:associatepublicipaddress": value_of(public)}


def _place(question: Question, subnet: Any) -> dict[str, Values]:
    base = f"arn:aws:ec2:{question.region}:{question.account}"
    return {
        "ec2:availabilityzone": (subnet.availability_zone,),
        "ec2:subnet": (f"{base}:subnet/{subnet.id}",),
        "ec2:vpc": (f"{base}:vpc/{subnet.vpc_id}",),
    }


def _find(ec2: Any, kind: str, name: str) -> Any:
    """Return moto's record of a resource (a key pair's by its name); None where it has none."""
    if kind == "instance":
        return ec2.get_instance_by_id(name)
    if kind == "security-group":
        return ec2.get_security_group_from_id(name)
    if kind == "subnet":
        with suppress(ServiceException):
            return ec2.get_subnet(name)
    return getattr(ec2, _RECORDS[kind]).get(name) if kind in _RECORDS else None


def _keys_of(kind: str, resource: Any, question: Question) -> dict[str, Values]:
    """Return the condition keys of a resource that exists."""
    keys = {f"ec2:{key}": value_of(value) for key, value in _ALWAYS.get(kind, {}).items()}
    for key, attribute in _ATTRIBUTES.get(kind, {}).items():
        value = attrgetter(attribute)(resource)
        keys[f"ec2:{key}"] = value_of(bool(value) if key in _FLAGS else value)
    if kind == "security-group":
        keys["ec2:vpc"] = (f"arn:aws:ec2:{question.region}:{question.account}:vpc/{resource.vpc_id}",)
    elif kind in {"network-interface", "subnet"}:
        keys |= _place(question, resource if kind == "subnet" else resource.subnet)
    return keys


_RECORDS = {
    "image": "amis",
    "key-pair": "key_pairs",
    "network-interface": "enis",
    "snapshot": "snapshots",
    "volume": "volumes",
    "vpc": "vpcs",
}
"""moto's dictionary of each type that has one."""
_ATTRIBUTES = {
    "image": {"imageid": "id", "owner": "owner_id", "public": "is_public"},
    "instance": {
        "availabilityzone": "placement.zone",
        "ebsoptimized": "ebs_optimized",
        "instanceid": "id",
        "instancetype": "instance_type",
    },
    "key-pair": {"keypairname": "key_name", "keypairtype": "key_type"},
    "network-interface": {"networkinterfaceid": "id"},
    "security-group": {"securitygroupid": "id"},
    "snapshot": {"owner": "owner_id", "snapshotid": "id", "volumesize": "volume.size"},
    "subnet": {"subnetid": "id"},
    "volume": {
        "availabilityzone": "availability_zone",
        "encrypted": "encrypted",
        "volumeid": "id",
        "volumesize": "size",
        "volumetype": "volume_type",
    },
    "vpc": {"vpcid": "id", "tenancy": "instance_tenancy"},
}
"""The condition keys of each type, and moto's attributes that have them."""
_FLAGS = {"ebsoptimized", "encrypted", "public"}
_ALWAYS = {
    "image": {"imagetype": "machine", "rootdevicetype": "ebs"},
    "instance": {"rootdevicetype": "ebs", "tenancy": "default"},
}
