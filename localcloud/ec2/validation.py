"""What EC2 refuses by a request's parameters alone, whatever exists.

Codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue, InvalidTaggableResourceType, TagLimitExceeded

SSM_IMAGE = "resolve:ssm:"
"""What an image's id begins with that is a parameter of Systems Manager, looked up at launch."""
USER_DATA_BYTES = 16_384
KEY_LENGTH, VALUE_LENGTH, TAGS = 128, 256, 50
RESERVED = "aws:"
"""The prefix of tags that only AWS sets and removes."""
IDS = {
    "InstanceId": ("i", "InvalidInstanceID.Malformed"),
    "ImageId": ("ami", "InvalidAMIID.Malformed"),
    "SourceImageId": ("ami", "InvalidAMIID.Malformed"),
    "SnapshotId": ("snap", "InvalidSnapshotID.Malformed"),
    "SourceSnapshotId": ("snap", "InvalidSnapshotID.Malformed"),
    "VolumeId": ("vol", "InvalidVolumeID.Malformed"),
    "SubnetId": ("subnet", "InvalidSubnetID.Malformed"),
    "GroupId": ("sg", "InvalidGroupId.Malformed"),
    "VpcId": ("vpc", "InvalidVpcID.Malformed"),
    "NetworkInterfaceId": ("eni", "InvalidNetworkInterfaceId.Malformed"),
    "LaunchTemplateId": ("lt", "InvalidLaunchTemplateId.Malformed"),
}
"""The parameters that name resources, also in the plural: the prefix of the ids, and the error's code."""
NAMES = {
    **dict.fromkeys(
        ("CreateImage", "CopyImage", "RegisterImage"),
        ("Name", r"[A-Za-z0-9()\[\] ./'@_-]{3,128}", "InvalidAMIName.Malformed"),
    ),
    "CreateLaunchTemplate": (
        "LaunchTemplateName",
        r"[A-Za-z0-9()./_-]{3,128}",
        "InvalidLaunchTemplateName.MalformedException",
    ),
}
"""How what these actions create may be called: parameter, pattern, and the error's code."""
LAUNCHED = frozenset({"instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"})
TAGGABLE = {
    "RunInstances": LAUNCHED,
    **dict.fromkeys(("CreateImage", "CopyImage", "RegisterImage"), frozenset({"image", "snapshot"})),
    **dict.fromkeys(("CreateSnapshot", "CreateSnapshots", "CopySnapshot"), frozenset({"snapshot"})),
    "CreateLaunchTemplate": frozenset({"launch-template"}),
    "CreateVolume": frozenset({"volume"}),
    "CreateSecurityGroup": frozenset({"security-group"}),
    "CreateNetworkInterface": frozenset({"network-interface"}),
    "CreateKeyPair": frozenset({"key-pair"}),
    "ImportKeyPair": frozenset({"key-pair"}),
}
"""The types of resources that an action tags; any type of the API's model where it is not listed."""


def check(action: str, params: Mapping[str, Any]) -> None:
    """Refuse malformed ids, names and tags, and too much user data."""
    for name, (prefix, code) in IDS.items():
        if name == "GroupId" and "SecurityGroup" not in action:
            continue  # placement groups have other ids
        _check_ids(action, _listed(params.get(name)), prefix, code)
        _check_ids(action, params.get(f"{name}s", ()), prefix, code)
    if action in NAMES:
        name, pattern, code = NAMES[action]
        if not re.fullmatch(pattern, str(params.get(name, ""))):
            raise EC2ClientError(code, f"Value ( {params.get(name)} ) for parameter {name} does not match {pattern}.")
    data = params.get("LaunchTemplateData") or {}
    check_specifications(params.get("TagSpecifications", ()), TAGGABLE.get(action))
    check_specifications(data.get("TagSpecifications", ()), LAUNCHED)
    if action in {"CreateTags", "DeleteTags"}:
        check_tags(params.get("Tags", ()))
    _check_user_data(params.get("UserData"), "InvalidParameterValue")
    _check_user_data(data.get("UserData"), "InvalidUserData.Malformed")
    if action == "RunInstances":
        _check_counts(params)


def check_specifications(specifications: Iterable[Mapping[str, Any]], allowed: frozenset[str] | None) -> None:
    """Refuse TagSpecifications of a type that the action does not tag, without tags, or with malformed ones."""
    for specification in specifications:
        kind = str(specification.get("ResourceType"))
        if allowed and kind not in allowed:
            raise InvalidTaggableResourceType(kind)
        tags = specification.get("Tags") or ()
        if not tags:
            raise InvalidParameterValue("Tag specification must have at least one tag")
        check_tags(tags)


def check_tags(tags: Sequence[Mapping[str, Any]]) -> None:
    """Refuse malformed, reserved, repeated and too many tags."""
    keys = [str(tag.get("Key") or "") for tag in tags]
    for key in keys:
        if not key:
            raise EC2ClientError("InvalidTagKey.Malformed", "Tag keys cannot be empty or null.")
        if key.lower().startswith(RESERVED):
            raise InvalidParameterValue(
                f"Value ( {key} ) for parameter key is invalid. Tag keys starting with '{RESERVED}' are reserved for "
                "internal use"
            )
        if len(key) > KEY_LENGTH:
            raise InvalidParameterValue(f"Tag key exceeds the maximum length of {KEY_LENGTH} characters")
        if keys.count(key) > 1:
            raise InvalidParameterValue(f"Duplicate tag key '{key}' specified.")
    if any(len(str(tag.get("Value") or "")) > VALUE_LENGTH for tag in tags):
        raise InvalidParameterValue(f"Tag value exceeds the maximum length of {VALUE_LENGTH} characters")
    if len(keys) > TAGS:
        raise TagLimitExceeded


def _check_ids(action: str, ids: Iterable[Any], prefix: str, code: str) -> None:
    for each in ids:
        if prefix == "ami" and action == "RunInstances" and str(each).startswith(SSM_IMAGE):
            continue
        if not re.fullmatch(rf"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})", str(each)):
            raise EC2ClientError(code, f'Invalid id: "{each}" (expecting "{prefix}-...")')


def _check_user_data(encoded: Any, code: str) -> None:
    if isinstance(encoded, str):
        try:
            size = len(base64.b64decode(encoded, validate=True))
        except binascii.Error:
            return  # moto refuses it
        if size > USER_DATA_BYTES:
            raise EC2ClientError(code, f"User data is limited to {USER_DATA_BYTES} bytes")


def _check_counts(params: Mapping[str, Any]) -> None:
    smallest, largest = int(params.get("MinCount", 1)), int(params.get("MaxCount", 1))
    if smallest < 1:
        raise InvalidParameterValue("Minimum instance count must be greater than zero")
    if largest < 1:
        raise InvalidParameterValue("Maximum instance count must be greater than zero")
    if smallest > largest:
        raise InvalidParameterValue("Maximum instance count must not be smaller than minimum instance count")


def _listed(value: Any) -> tuple[Any, ...]:
    return () if value is None else (value,)
