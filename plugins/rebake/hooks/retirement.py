"""What the retirement of images reads and changes, beside the estate that everybody reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from rebake import tags
from rebake.aws_errors import error_code, persist
from rebake.estate.inventory import Image
from rebake.estate.retirement.protection import Snapshot
from rebake.estate.retirement.retire import NOTICE
from rebake.hooks.image import PAGE, ImageHook

VERSIONS_PER_CALL: Final = 200
"""Launch template versions that one DeleteLaunchTemplateVersions takes."""
IN_USE: Final = "InvalidSnapshot.InUse"
_SNAPSHOT_GONE: Final = "InvalidSnapshot.NotFound"
_IMAGE_GONE: Final = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"})


class RetirementHook(ImageHook):
    """Thick wrapper around `boto3.client("ec2")` for the last steps of images, snapshots and template versions.

    Every change may be repeated, and is, while AWS only throttles (`rebake.aws_errors.persist`).
    """

    def deprecate(self, image: Image, now: datetime) -> datetime:
        """Announce the end of an image, and return from when it is deprecated (EC2, EnableImageDeprecation)."""
        at = (now.astimezone(UTC) + NOTICE).replace(second=0, microsecond=0)  # EC2 keeps no seconds
        persist(lambda: self.ec2.enable_image_deprecation(ImageId=image.id, DeprecateAt=at))
        return at

    def disable(self, image: Image) -> None:
        """Let nobody launch an image any more (EC2, DisableImage)."""
        persist(lambda: self.ec2.disable_image(ImageId=image.id))

    def deregister(self, image: Image) -> list[str]:
        """Deregister an image, delete its snapshots, and return those that AWS keeps because something uses them.

        EC2, DeregisterImage and DeleteSnapshot. One that is gone already is no error: it is what was wanted.
        """
        try:
            persist(lambda: self.ec2.deregister_image(ImageId=image.id))
        except ClientError as error:
            if error_code(error) not in _IMAGE_GONE:
                raise
        return [snapshot for snapshot in image.snapshots if not self.delete_snapshot(snapshot)]

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a snapshot; return False if something uses it (EC2, DeleteSnapshot)."""
        try:
            persist(lambda: self.ec2.delete_snapshot(SnapshotId=snapshot_id))
        except ClientError as error:
            if error_code(error) == IN_USE:
                return False
            if error_code(error) != _SNAPSHOT_GONE:
                raise
        return True

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the account's snapshots with the tags of finished images of ours (EC2, DescribeSnapshots)."""
        pages = self.ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"],
            Filters=[{"Name": f"tag:{tags.KIND}", "Values": sorted(tags.IMAGE_KINDS)}],
            PaginationConfig={"PageSize": PAGE},
        )
        for page in pages:
            for one in page["Snapshots"]:
                yield Snapshot(one["SnapshotId"], tags.read(one), one["StartTime"])

    def shared_with(self, image: Image) -> list[str]:
        """Return who else may launch an image or read its snapshots: accounts, organisations, `all`.

        EC2, DescribeImageAttribute, and DescribeSnapshotAttribute for each snapshot: AWS has no list of it, so only
        images that are about to be changed are asked for.
        """
        answer = persist(lambda: self.ec2.describe_image_attribute(ImageId=image.id, Attribute="launchPermission"))
        shares: list[Any] = list(answer.get("LaunchPermissions", []))
        for snapshot in image.snapshots:
            shares += self.snapshot_shares(snapshot)
        return sorted({str(value) for share in shares for value in share.values()} - {image.owner})

    def snapshot_shares(self, snapshot_id: str) -> list[Any]:
        """Return who else may read a snapshot (EC2, DescribeSnapshotAttribute); nobody if it is gone."""
        try:
            answer = persist(
                lambda: self.ec2.describe_snapshot_attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")
            )
        except ClientError as error:
            if error_code(error) != _SNAPSHOT_GONE:
                raise
            return []
        return list(answer.get("CreateVolumePermissions", []))

    def delete_versions(self, template_id: str, numbers: Sequence[int]) -> dict[int, str]:
        """Delete launch template versions, and return those that AWS did not delete, each with the reason.

        EC2, DeleteLaunchTemplateVersions. One that is gone already is no error.
        """
        refused: dict[int, str] = {}
        for start in range(0, len(numbers), VERSIONS_PER_CALL):
            part = [str(number) for number in numbers[start : start + VERSIONS_PER_CALL]]
            answer = persist(
                lambda part=part: self.ec2.delete_launch_template_versions(  # type: ignore[misc]
                    LaunchTemplateId=template_id, Versions=part
                )
            )
            for one in answer.get("UnsuccessfullyDeletedLaunchTemplateVersions", []):
                problem = one.get("ResponseError", {})
                if problem.get("Code") != "launchTemplateVersionDoesNotExist":
                    refused[one["VersionNumber"]] = f"{problem.get('Code')}: {problem.get('Message', '')}"
        return refused
