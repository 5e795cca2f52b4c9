"""Temporary resources that a run did not remove, in the cloud and on this machine."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rebake import tags
from rebake.config import load_environment
from rebake.tools.terraform import lock_key
from stack import processes
from stack.settings import ENVIRONMENT
from stack.up import Stack

TEMPORARY_GROUPS: Final = ("packer_", "rebake-probe")
"""Prefixes of the names of temporary security groups."""
_TOOLS: Final = re.compile(rb"guardian\.py|/(packer|terraform|tofu)[^/]*$")


def leaks(stack: Stack) -> list[str]:
    """Return the temporary resources of bakes, probes and applies that are still there; call it when nothing runs."""
    ec2 = stack.cloud.client("ec2")
    return [*_in_ec2(ec2), *_on_disks(ec2), *_locks(stack), *_workspaces(stack), *_programs(stack)]


def _in_ec2(ec2: Any) -> Iterator[str]:
    for reservation in _all(ec2, "describe_instances", "Reservations"):
        for instance in reservation["Instances"]:
            if tags.read(instance).get(tags.KIND) != tags.KIND_FLEET and instance["State"]["Name"] != "terminated":
                yield f"instance {instance['InstanceId']}"
    for key in ec2.describe_key_pairs()["KeyPairs"]:
        yield f"key pair {key['KeyName']}"
    for group in _all(ec2, "describe_security_groups", "SecurityGroups"):
        if group["GroupName"].startswith(TEMPORARY_GROUPS):
            yield f"security group {group['GroupName']}"


def _on_disks(ec2: Any) -> Iterator[str]:
    for volume in _all(ec2, "describe_volumes", "Volumes"):
        if volume["State"] == "available":
            yield f"volume {volume['VolumeId']}"
    for image in _all(ec2, "describe_images", "Images", Owners=["self"]):
        if not tags.read(image).get(tags.FINGERPRINT):
            yield f"unfinished image {image['ImageId']} ({image.get('Name', '')})"


def _all(client: Any, call: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(call).paginate(**arguments):
        yield from page.get(key, [])


def _locks(stack: Stack) -> Iterator[str]:
    bucket = load_environment(ENVIRONMENT).bucket
    for found in _all(stack.cloud.client("s3"), "list_objects_v2", "Contents", Bucket=bucket):
        if found["Key"].endswith(lock_key("")):
            yield f"state lock {found['Key']}"


def _workspaces(stack: Stack) -> Iterator[str]:
    for path in sorted((stack.layout.state / "work").glob("*")):
        yield f"workspace {path.name}"


def _programs(stack: Stack) -> Iterator[str]:
    for pid in processes.marked(stack.layout.clone_id):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if any(_TOOLS.search(argument) for argument in line[:4]):
            yield f"process {pid} ({b' '.join(line[:4]).decode(errors='replace')})"
