"""Temporary resources of bakes and tests: found in pages, described again by their ids, and removed."""

import json
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from rebake import bucket as objects
from rebake import tags
from rebake.aws_errors import deleted
from rebake.estate.inventory import Image
from rebake.estate.orphans import TEMPORARY, Lock, OrphanKind, Temporary, made_at
from rebake.estate.retirement import protection
from rebake.exceptions import ImageError
from rebake.hooks.bucket import BucketHook
from rebake.hooks.ec2 import Ec2ClientHook
from rebake.hooks.estate import EstateHook
from rebake.hooks.image import ImageHook
from rebake.hooks.instance import LIVE_STATES
from rebake.hooks.limits import FILTER_VALUES, PAGE, batches
from rebake.tools import terraform

IMAGES_BEGIN: Final = "rebake-"
_ENDING: Final = ("shutting-down",)

Filters = list[Any]


class OrphansHook(Ec2ClientHook):
    """Thick wrapper around `boto3.client("ec2")` for what bakes and tests make for a while.

    The number of calls grows with the pages of AWS's answers and with what is temporary, never with the estate.
    """

    def find(self, kind: OrphanKind) -> list[Temporary]:
        """Return what may be temporary of a kind; whether it is ours is not decided here.

        EC2: DescribeInstances, DescribeVolumes, DescribeSecurityGroups, DescribeKeyPairs, DescribeImages,
        DescribeSnapshots; and for unfinished images what `EstateHook.read` calls.
        """
        return list(self._finders[kind]([]))

    def find_again(self, thing: Temporary) -> Temporary | None:
        """Return a thing as it is now; none if it is gone."""
        return next(iter(self._finders[thing.kind]([{"Name": _ID[thing.kind], "Values": [thing.id]}])), None)

    def remove(self, thing: Temporary) -> str:
        """Remove a thing, and return why it stays, if it does; one that is gone already is no error.

        EC2: TerminateInstances, DeleteVolume, DeleteSecurityGroup, DeleteKeyPair, DeregisterImage, DeleteSnapshot.
        """
        images = ImageHook(**self.connection)
        if thing.kind is OrphanKind.SNAPSHOT:
            return "" if images.delete_snapshot(thing.id) else "an image uses it"
        removers: dict[OrphanKind, Callable[[], object]] = {
            OrphanKind.INSTANCE: partial(self.ec2.terminate_instances, InstanceIds=[thing.id]),
            OrphanKind.VOLUME: partial(self.ec2.delete_volume, VolumeId=thing.id),
            OrphanKind.SECURITY_GROUP: partial(self.delete_security_group, thing.id, attempts=1),
            OrphanKind.KEY_PAIR: partial(self.ec2.delete_key_pair, KeyName=thing.name),
            OrphanKind.IMAGE: lambda: images.remove(images.describe(thing.id)),
        }
        deleted(removers[thing.kind])
        return ""

    @property
    def _finders(self) -> dict[OrphanKind, Callable[[Filters], Iterator[Temporary]]]:
        return {
            OrphanKind.INSTANCE: self._instances,
            OrphanKind.VOLUME: self._volumes,
            OrphanKind.SECURITY_GROUP: self._groups,
            OrphanKind.KEY_PAIR: self._keys,
            OrphanKind.IMAGE: self._images,
            OrphanKind.SNAPSHOT: self._snapshots,
        }

    def _instances(self, which: Filters) -> Iterator[Temporary]:
        states = [state for state in LIVE_STATES if state not in _ENDING]
        for one in self._described([*_tagged(), {"Name": "instance-state-name", "Values": states}, *which]):
            labels = tags.read(one)
            yield Temporary(OrphanKind.INSTANCE, one["InstanceId"], labels.get("Name", ""), labels, one["LaunchTime"])

    def _volumes(self, which: Filters) -> Iterator[Temporary]:
        pages = self.ec2.get_paginator("describe_volumes").paginate(
            Filters=[*_tagged(), {"Name": "status", "Values": ["available"]}, *which]
        )
        for page in pages:
            for one in page["Volumes"]:
                labels = tags.read(one)
                yield Temporary(OrphanKind.VOLUME, one["VolumeId"], labels.get("Name", ""), labels, one["CreateTime"])

    def _groups(self, which: Filters) -> Iterator[Temporary]:
        named: Any = {"Name": "group-name", "Values": ["packer_*", "rebake-probe-*"]}
        pages = self.ec2.get_paginator("describe_security_groups").paginate(Filters=[named, *which])
        found: list[dict[str, Any]] = [dict(one) for page in pages for one in page["SecurityGroups"]]
        users = self._users("instance.group-id", [str(one["GroupId"]) for one in found], _groups_of)
        for one in found:
            labels, name = tags.read(one), str(one["GroupName"])
            yield Temporary(
                OrphanKind.SECURITY_GROUP,
                one["GroupId"],
                name,
                labels,
                made_at(name, labels),
                users=users[one["GroupId"]],
                description=one["Description"],
            )

    def _keys(self, which: Filters) -> Iterator[Temporary]:
        named: Any = {"Name": "key-name", "Values": ["packer_*"]}
        found: list[dict[str, Any]] = [
            dict(one) for one in self.ec2.describe_key_pairs(Filters=which or [named])["KeyPairs"]
        ]
        users = self._users("key-name", [str(one["KeyName"]) for one in found], lambda one: [one.get("KeyName", "")])
        for one in found:
            labels, name = tags.read(one), str(one["KeyName"])
            made = one.get("CreateTime") or made_at(name, labels)
            yield Temporary(OrphanKind.KEY_PAIR, one["KeyPairId"], name, labels, made, users=users[name])

    def _images(self, which: Filters) -> Iterator[Temporary]:
        hook = ImageHook(**self.connection)
        found = hook.unfinished(IMAGES_BEGIN) if not which else _one(hook, which[0]["Values"][0])
        # An image that is in use was finished by somebody, whatever its tags say.
        users = protection.in_use(EstateHook(**self.connection).read()) if found else {}
        for image in found:
            using = (users[image.id],) if image.id in users else ()
            made = image.created_at if image.created else None
            yield Temporary(OrphanKind.IMAGE, image.id, image.name, image.tags, made, users=using, state=image.state)

    def _snapshots(self, which: Filters) -> Iterator[Temporary]:
        pages = self.ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=[*_tagged(), *which], PaginationConfig={"PageSize": PAGE}
        )
        found: list[dict[str, Any]] = [dict(one) for page in pages for one in page["Snapshots"]]
        users: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for ids in batches([str(one["SnapshotId"]) for one in found], FILTER_VALUES):
            images = self.ec2.get_paginator("describe_images").paginate(
                Owners=["self"], IncludeDisabled=True, Filters=[{"Name": _SNAPSHOT_OF_IMAGE, "Values": ids}]
            )
            for image in (_plain(one) for page in images for one in page["Images"]):
                for snapshot in (disk.get("Ebs", {}).get("SnapshotId", "") for disk in image["BlockDeviceMappings"]):
                    users[snapshot] += (image["ImageId"],)
        for one in found:
            labels, snapshot_id = tags.read(one), str(one["SnapshotId"])
            yield Temporary(
                OrphanKind.SNAPSHOT,
                snapshot_id,
                labels.get("Name", ""),
                labels,
                one["StartTime"],
                users=users[snapshot_id],
                state=one["State"],
            )

    def _users(
        self, filter_name: str, values: list[str], used: Callable[[dict[str, Any]], list[str]]
    ) -> dict[str, tuple[str, ...]]:
        """Return the instances that are not terminated yet, whoever launched them, by what they use."""
        found: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for some in batches(values, FILTER_VALUES):
            states = {"Name": "instance-state-name", "Values": list(LIVE_STATES)}
            for one in self._described([{"Name": filter_name, "Values": some}, states]):
                for value in used(one):
                    found[value] += (one["InstanceId"],)
        return found

    def _described(self, filters: Filters) -> Iterator[dict[str, Any]]:
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=filters)
        return (dict(one) for page in pages for reservation in page["Reservations"] for one in reservation["Instances"])


class LocksHook(BucketHook):
    """Thick wrapper around `boto3.client("s3")` for the locks on Terraform's states."""

    def find(self, bucket: str, environment: str) -> list[Lock]:
        """Return the locks of an environment's states (S3, ListObjectsV2 and GetObject)."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=terraform.STATES)
        found = [one for page in pages for one in page.get("Contents", [])]
        return [
            Lock(one["Key"], one["LastModified"], _holder(objects.read(self.s3, bucket, one["Key"])))
            for one in found
            if terraform.is_lock(one["Key"], environment)
        ]

    def remove_own(self, bucket: str, state: str, since: datetime) -> bool:
        """Remove the lock that a killed Terraform of this host took on a state; return whether there was one.

        One run at a time holds the service's lease, so of this host no other Terraform has locked the state meanwhile.

        S3, GetObject and DeleteObject.

        Args:
            bucket: where the state is.
            state: its object key.
            since: when that Terraform was started; an older lock is not its own.
        """
        key = terraform.lock_key(state)
        content = objects.read(self.s3, bucket, key)
        if content is None:
            return False
        lock = json.loads(content)
        is_own = lock["Who"].endswith(f"@{socket.gethostname()}") and datetime.fromisoformat(lock["Created"]) >= since
        if is_own:
            self.s3.delete_object(Bucket=bucket, Key=key)
        return is_own


def _holder(content: bytes | None) -> str:
    """Return who holds a lock, as Terraform wrote it into the lock."""
    if content is None:
        return "(released meanwhile)"
    try:
        lock = json.loads(content)
        return f"{lock['Who']}, {lock['Operation']}, id {lock['ID']}"
    except (ValueError, KeyError, TypeError):
        return "(unknown)"


_SNAPSHOT_OF_IMAGE: Final = "block-device-mapping.snapshot-id"
_ID: Final = {
    OrphanKind.INSTANCE: "instance-id",
    OrphanKind.VOLUME: "volume-id",
    OrphanKind.SECURITY_GROUP: "group-id",
    OrphanKind.KEY_PAIR: "key-pair-id",
    OrphanKind.IMAGE: "image-id",
    OrphanKind.SNAPSHOT: "snapshot-id",
}


def _one(hook: ImageHook, ami_id: str) -> list[Image]:
    try:
        return [hook.describe(ami_id)]
    except ImageError:
        return []


def _plain(answer: Any) -> dict[str, Any]:
    return dict(answer)


def _tagged() -> Filters:
    return [{"Name": f"tag:{tags.KIND}", "Values": sorted(TEMPORARY)}]


def _groups_of(instance: dict[str, Any]) -> list[str]:
    return [group["GroupId"] for group in instance.get("SecurityGroups", [])]
