"""What the retirement of images reads and changes, beside `EstateHook`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from rebake import tags
from rebake.aws_errors import deleted, error_code, retry_transient
from rebake.estate.inventory import Image
from rebake.estate.retirement.protection import Snapshot
from rebake.estate.retirement.retire import NOTICE
from rebake.hooks.image import ImageHook
from rebake.hooks.limits import PAGE, TEMPLATE_VERSIONS, batches


class RetirementHook(ImageHook):
    """Thick wrapper around `boto3.client("ec2")` for the last steps of images, snapshots and launch template versions.

    Every change may be repeated, and is retried while AWS throttles.
    """

    @retry_transient
    def deprecate(self, image: Image, now: datetime) -> datetime:
        """Announce the end of an image, and return from when it is deprecated (EC2, EnableImageDeprecation)."""
        at = (now.astimezone(UTC) + NOTICE).replace(second=0, microsecond=0)  # EC2 keeps no seconds
        self.ec2.enable_image_deprecation(ImageId=image.id, DeprecateAt=at)
        return at

    @retry_transient
    def disable(self, image: Image) -> None:
        """Make launches of an image fail (EC2, DisableImage)."""
        self.ec2.disable_image(ImageId=image.id)

    def deregister(self, image: Image) -> list[str]:
        """Deregister an image, delete its snapshots, and return those that AWS keeps because something uses them.

        EC2, DeregisterImage and DeleteSnapshot. What is gone already is no error.
        """
        retry_transient(deleted)(partial(self.ec2.deregister_image, ImageId=image.id))
        return [snapshot for snapshot in image.snapshots if not self.delete_snapshot(snapshot)]

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

        EC2, DescribeImageAttribute, and DescribeSnapshotAttribute for each snapshot. AWS does not list shares, so this
        is called only for images that are about to be changed.
        """
        shares = self._launch_permissions(image)
        for snapshot in image.snapshots:
            shares += self.snapshot_shares(snapshot)
        return sorted({str(value) for share in shares for value in share.values()} - {image.owner})

    @retry_transient
    def _launch_permissions(self, image: Image) -> list[Any]:
        answer = self.ec2.describe_image_attribute(ImageId=image.id, Attribute="launchPermission")
        return list(answer.get("LaunchPermissions", []))

    @retry_transient
    def snapshot_shares(self, snapshot_id: str) -> list[Any]:
        """Return who else may read a snapshot (EC2, DescribeSnapshotAttribute); nobody if it is gone."""
        try:
            answer = self.ec2.describe_snapshot_attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")
        except ClientError as error:
            if error_code(error) != "InvalidSnapshot.NotFound":
                raise
            return []
        return list(answer.get("CreateVolumePermissions", []))

    def delete_versions(self, template_id: str, numbers: Sequence[int]) -> dict[int, str]:
        """Delete launch template versions, and return those that AWS did not delete, each with the reason.

        EC2, DeleteLaunchTemplateVersions. One that is gone already is no error.
        """
        refused: dict[int, str] = {}
        for batch in batches(list(map(str, numbers)), TEMPLATE_VERSIONS):
            delete = retry_transient(self.ec2.delete_launch_template_versions)
            answer = delete(LaunchTemplateId=template_id, Versions=batch)
            for one in answer.get("UnsuccessfullyDeletedLaunchTemplateVersions", []):
                problem = one.get("ResponseError", {})
                if problem.get("Code") != "launchTemplateVersionDoesNotExist":
                    refused[one["VersionNumber"]] = f"{problem.get('Code')}: {problem.get('Message', '')}"
        return refused
