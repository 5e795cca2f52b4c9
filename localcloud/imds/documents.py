"""What the instance metadata service tells an instance about itself, as a tree of folders and documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from localcloud.iam.sessions import credentials_of

if TYPE_CHECKING:
    from localcloud.ec2.instances import LocalInstance

Tree = Mapping[str, "Tree | str | Callable[[], str]"]
"""A document that is expensive is a function."""


def tree(instance: LocalInstance) -> Tree:
    """Return everything under `latest/` for the instance that asks."""
    data = {"dynamic": _dynamic(instance), "meta-data": _meta_data(instance)}
    user_data = instance.machine.user_data.decode(errors="surrogateescape")
    return {**data, "user-data": user_data} if user_data else data


def read(found: Tree, path: str) -> str | None:
    """Return the document at a path, the listing of a folder, or None when there is neither.

    As AWS does it, a folder's entries end with a slash, and an entry such as `0=name` is found as `0`.
    """
    node: Any = found
    for part in filter(None, path.split("/")):
        if not isinstance(node, Mapping):
            return None
        node = next((value for key, value in node.items() if part == key or part == key.partition("=")[0]), None)
    if isinstance(node, Mapping):
        return "\n".join(_entries(node))
    return node() if callable(node) else node


def _entries(folder: Tree) -> Iterator[str]:
    for key, value in folder.items():
        yield f"{key}/" if isinstance(value, Mapping) and "=" not in key else key


def _meta_data(instance: Any) -> Tree:
    interface = instance.nics[0]
    subnet = interface.subnet
    groups = "\n".join(group.name for group in instance.security_groups)
    address, name = instance.private_ip, instance.private_dns_name
    reservations = instance.ec2_backend.reservations.values()
    public_name = {"public-hostname": instance.public_dns_name}
    network = {
        "device-number": "0",
        "interface-id": interface.id,
        "local-hostname": name,
        "local-ipv4s": address,
        "mac": interface.mac_address,
        "owner-id": instance.owner_id,
        **({**public_name, "public-ipv4s": instance.public_ip} if instance.public_ip else {}),
        "security-group-ids": "\n".join(group.id for group in instance.security_groups),
        "security-groups": groups,
        "subnet-id": subnet.id,
        "subnet-ipv4-cidr-block": subnet.cidr_block,
        "vpc-id": subnet.vpc_id,
        "vpc-ipv4-cidr-block": instance.ec2_backend.get_vpc(subnet.vpc_id).cidr_block,
    }
    region = instance.ec2_backend.region_name
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    return {
        "ami-id": instance.image_id,
        "ami-launch-index": str(instance.ami_launch_index),
        "ami-manifest-path": "(unknown)",
        "block-device-mapping": {"ami": instance.root_device_name, "root": instance.root_device_name},
        "hostname": name,
        **_iam(instance),
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": instance.lifecycle or "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": name,
        "local-ipv4": address,
        "mac": interface.mac_address,
        "network": {"interfaces": {"macs": {interface.mac_address: network}}},
        "placement": {
            "availability-zone": subnet.availability_zone,
            "availability-zone-id": subnet.availability_zone_id,
            "region": region,
        },
        "profile": "default-hvm",
        **({**public_name, "public-ipv4": instance.public_ip} if instance.public_ip else {}),
        **_public_keys(instance),
        "reservation-id": lambda: next((each.id for each in reservations if instance in each.instances), ""),
        "security-groups": groups,
        "services": {"domain": "amazonaws.com", "partition": "aws"},
        **({"tags": {"instance": tags}} if instance.metadata_options.instance_metadata_tags == "enabled" else {}),
    }


def _public_keys(instance: Any) -> Tree:
    key = instance.machine.authorized_key.strip()
    return {"public-keys": {f"0={instance.key_name}": {"openssh-key": key}}} if key else {}


def _iam(instance: Any) -> Tree:
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    if association is None:
        return {}
    profile = association.iam_instance_profile
    info = {
        "Code": "Success",
        "LastUpdated": instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "InstanceProfileArn": profile.arn,
        "InstanceProfileId": profile.id,
    }
    roles = {role.name: lambda: json.dumps(credentials_of(instance), indent=2) for role in profile.roles[:1]}
    return {"iam": {"info": json.dumps(info, indent=2), "security-credentials": roles}}


def _dynamic(instance: Any) -> Tree:
    document = {
        "accountId": instance.owner_id,
        "architecture": instance.architecture,
        "availabilityZone": instance.nics[0].subnet.availability_zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "kernelId": None,
        "pendingTime": instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": instance.private_ip,
        "ramdiskId": None,
        "region": instance.ec2_backend.region_name,
        "version": "2017-09-30",
    }
    return {"instance-identity": {"document": json.dumps(document, indent=2)}}
