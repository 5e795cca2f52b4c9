"""Temporary things of bakes and tests: found in pages, looked at again by their ids, and removed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import ClientError

from rebake import tags
from rebake.aws_errors import error_code
from rebake.estate.orphans import TEMPORARY, Lock, OrphanKind, Temporary, made_at
from rebake.estate.retirement import protection
from rebake.exceptions import ImageError
from rebake.hooks.estate import EstateHook
from rebake.hooks.image import PAGE, ImageHook
from rebake.hooks.instance import LIVE_STATES

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client

    from rebake.estate.inventory import Image

IMAGES_BEGIN: Final = "rebake-"
_FILTER: Final = 200
"""Values that EC2 takes in one filter at most."""
_ENDING: Final = ("shutting-down",)
_GONE: Final = frozenset({
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
    "InvalidGroup.NotFound",
    "InvalidGroupId.NotFound",
    "InvalidInstanceID.NotFound",
    "InvalidKeyPair.NotFound",
    "InvalidSnapshot.NotFound",
    "InvalidVolume.NotFound",
})  # fmt: skip

Filters = list[Any]


class OrphansHook(AwsBaseHook):
    """Thick wrapper around `boto3.client("ec2")` for what bakes and tests make for a while.

    The number of calls grows with the pages of AWS's answers and with what is temporary, never with the estate.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "ec2"
        super().__init__(*args, **kwargs)

    @property
    def ec2(self) -> EC2Client:
        """The typed client."""
        client: EC2Client = self.conn
        return client

    def find(self, kind: OrphanKind) -> list[Temporary]:
        """Return what may be temporary of a kind; whether it is ours is not decided here.

        EC2: DescribeInstances, DescribeVolumes, DescribeSecurityGroups, DescribeKeyPairs, DescribeImages,
        DescribeSnapshots; and for images in doubt what `EstateHook.read` asks.
        """
        return list(self._finders[kind]([]))

    def look(self, thing: Temporary) -> Temporary | None:
        """Return a thing as it is now; none if it is gone."""
        return next(iter(self._finders[thing.kind]([{"Name": _ID[thing.kind], "Values": [thing.id]}])), None)

    def remove(self, thing: Temporary) -> None:
        """Remove a thing; one that is gone already is no error.

        EC2: TerminateInstances, DeleteVolume, DeleteSecurityGroup, DeleteKeyPair, DeregisterImage, DeleteSnapshot.
        """
        removers: dict[OrphanKind, Callable[[], object]] = {
            OrphanKind.INSTANCE: lambda: self.ec2.terminate_instances(InstanceIds=[thing.id]),
            OrphanKind.VOLUME: lambda: self.ec2.delete_volume(VolumeId=thing.id),
            OrphanKind.SECURITY_GROUP: lambda: self.ec2.delete_security_group(GroupId=thing.id),
            OrphanKind.KEY_PAIR: lambda: self.ec2.delete_key_pair(KeyName=thing.name),
            OrphanKind.IMAGE: lambda: self._remove_image(thing),
            OrphanKind.SNAPSHOT: lambda: self.ec2.delete_snapshot(SnapshotId=thing.id),
        }
        try:
            removers[thing.kind]()
        except ClientError as error:
            if error_code(error) not in _GONE:
                raise

    def _remove_image(self, thing: Temporary) -> None:
        hook = ImageHook(**self._connection)
        hook.remove(hook.describe(thing.id))

    @property
    def _connection(self) -> dict[str, Any]:
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name}

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
        hook = ImageHook(**self._connection)
        found = hook.unfinished(IMAGES_BEGIN) if not which else _one(hook, which[0]["Values"][0])
        # Whatever its tags say, what is in use was finished by somebody.
        users = protection.in_use(EstateHook(**self._connection).read()) if found else {}
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
        for ids in _slices([one["SnapshotId"] for one in found]):
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
        for some in _slices(values):
            states = {"Name": "instance-state-name", "Values": list(LIVE_STATES)}
            for one in self._described([{"Name": filter_name, "Values": some}, states]):
                for value in used(one):
                    found[value] += (one["InstanceId"],)
        return found

    def _described(self, filters: Filters) -> Iterator[dict[str, Any]]:
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=filters)
        return (dict(one) for page in pages for reservation in page["Reservations"] for one in reservation["Instances"])


class LocksHook(AwsBaseHook):
    """Thick wrapper around `boto3.client("s3")` for the locks on Terraform's states."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "s3"
        super().__init__(*args, **kwargs)

    def find(self, bucket: str, environment: str) -> list[Lock]:
        """Return the locks of an environment's states (S3, ListObjectsV2 and GetObject)."""
        s3: S3Client = self.conn
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="terraform/")
        found = [one for page in pages for one in page.get("Contents", [])]
        ending = f"-{environment}.tfstate.tflock"
        return [
            Lock(one["Key"], one["LastModified"], _holder(s3, bucket, one["Key"]))
            for one in found
            if one["Key"].endswith(ending)
        ]


def _holder(s3: S3Client, bucket: str, key: str) -> str:
    """Return who took a lock, as Terraform has written it down."""
    try:
        told = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return f"{told['Who']}, {told['Operation']}, id {told['ID']}"
    except ClientError as error:
        if error_code(error) == "NoSuchKey":
            return "(released meanwhile)"
        raise
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


def _slices(values: Sequence[str]) -> Iterator[list[str]]:
    return (list(values[start : start + _FILTER]) for start in range(0, len(values), _FILTER))


def _groups_of(instance: dict[str, Any]) -> list[str]:
    return [group["GroupId"] for group in instance.get("SecurityGroups", [])]
