"""Machine images: found by their tags, and removed where the tags prove that they are unfinished ones of ours."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from rebake import tags
from rebake.aws_errors import deleted, error_code, retry_transient
from rebake.base.verdict import IMDS_V2
from rebake.estate.inventory import Image
from rebake.exceptions import ImageError
from rebake.hooks.ec2 import Ec2ClientHook
from rebake.hooks.limits import FILTER_VALUES, PAGE, batches

IN_USE: Final = "InvalidSnapshot.InUse"
"""EC2's answer when an image uses the snapshot that is to be deleted."""
UNKNOWN: Final = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable"})
"""EC2's answers when it does not know an image, or cannot use it."""


class ImageHook(Ec2ClientHook):
    """Thick wrapper around `boto3.client("ec2")` for images."""

    @retry_transient
    def describe(self, ami_id: str) -> Image:
        """Return an image by its id, in whatever state it is (EC2, DescribeImages).

        Raises:
            ImageError: AWS does not know it.
        """
        try:
            found = self.ec2.describe_images(ImageIds=[ami_id], IncludeDisabled=True)["Images"]
        except ClientError as error:
            if error_code(error) not in UNKNOWN:
                raise
            found = []
        if not found:
            raise ImageError(f"image {ami_id!r} does not exist in {self.conn_region_name}")
        return _image(dict(found[0]))

    def available(self, ami_id: str, what: str) -> Image:
        """Return an image that can be launched.

        Args:
            ami_id: its id.
            what: its role; begins the error message.

        Raises:
            ImageError: it does not exist, or is not available.
        """
        try:
            image = self.describe(ami_id)
        except ImageError as error:
            raise ImageError(f"{what}: {error}") from error
        if image.state != "available":
            way_out = f"; aws ec2 enable-image --image-id {ami_id} undoes that" if image.state == "disabled" else ""
            raise ImageError(f"{what}: image {ami_id} is {image.state!r}, not 'available'{way_out}")
        return image

    def ours(self, ami_id: str, kind: str, subject: str) -> Image:
        """Return an available image that Rebake made for `subject`.

        Args:
            ami_id: its id.
            kind: value of `rebake:kind`.
            subject: value of `rebake:service`.

        Raises:
            ImageError: it does not exist, is not available, or was made by something or for something else.
        """
        image = self.available(ami_id, f"ami_id {ami_id!r} for {subject}")
        found = {key: image.tags.get(key, "(none)") for key in (tags.KIND, tags.SERVICE)}
        if found != {tags.KIND: kind, tags.SERVICE: subject}:
            raise ImageError(
                f"image {ami_id} was not made by Rebake for {subject}: its tags are {tags.KIND}={found[tags.KIND]}, "
                f"{tags.SERVICE}={found[tags.SERVICE]}, and {kind}, {subject} are needed; "
                "choose one that has them, or leave ami_id empty to bake"
            )
        return image

    def find(self, kind: str, subject: str, fingerprint: str) -> list[Image]:
        """Return the account's available images of a fingerprint, newest first (EC2, DescribeImages).

        Deprecated images are left out: retirement is about to disable them, perhaps in the middle of a release.
        """
        found = self._search(
            {
                "state": "available",
                f"tag:{tags.KIND}": kind,
                f"tag:{tags.SERVICE}": subject,
                f"tag:{tags.FINGERPRINT}": fingerprint,
            }
        )
        return [image for image in found if image.deprecated_at is None]

    @retry_transient
    def own(self, ami_ids: Collection[str] = ()) -> list[Image]:
        """Return the account's images, also deprecated and disabled ones (EC2, DescribeImages).

        Args:
            ami_ids: only these, as far as they exist; all of them if left out.
        """
        found = []
        for batch in batches(list(ami_ids), FILTER_VALUES) if ami_ids else [[]]:
            pages = self.ec2.get_paginator("describe_images").paginate(
                Owners=["self"],
                IncludeDeprecated=True,
                IncludeDisabled=True,
                Filters=[{"Name": "image-id", "Values": batch}] if batch else [],
                PaginationConfig={"PageSize": PAGE},
            )
            found += [_image(dict(image)) for page in pages for image in page["Images"]]
        return found

    def unfinished(self, name_prefix: str) -> list[Image]:
        """Return the account's images of a name that lack the tags of a finished image.

        Args:
            name_prefix: up to and with the fingerprint, which no other image has.
        """
        return [image for image in self._search({"name": f"{name_prefix}*"}) if not image.is_finished]

    def demand_imds_v2(self, image: Image) -> None:
        """Have instances of an image require IMDSv2, which cannot be undone (EC2, ModifyImageAttribute)."""
        if image.imds_support != IMDS_V2:
            self.ec2.modify_image_attribute(ImageId=image.id, ImdsSupport={"Value": IMDS_V2})

    def remove(self, image: Image) -> None:
        """Deregister an image and delete its snapshots, but for those that something else uses.

        EC2, CreateTags, DeregisterImage and DeleteSnapshot.

        An image that Packer has not tagged yet is tagged first: the pipeline's policy lets it remove only what has its
        tag, and the tag leads to what an interrupted removal leaves.
        """
        if tags.KIND not in image.tags:
            self.ec2.create_tags(
                Resources=[image.id, *image.snapshots], Tags=[{"Key": tags.KIND, "Value": tags.KIND_BUILDER}]
            )
        self.ec2.deregister_image(ImageId=image.id)
        for snapshot in image.snapshots:
            self.delete_snapshot(snapshot)

    @retry_transient
    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a snapshot; return False if something uses it (EC2, DeleteSnapshot)."""
        try:
            deleted(partial(self.ec2.delete_snapshot, SnapshotId=snapshot_id))
        except ClientError as error:
            if error_code(error) == IN_USE:
                return False
            raise
        return True

    @retry_transient
    def _search(self, filters: Mapping[str, str]) -> list[Image]:
        pages = self.ec2.get_paginator("describe_images").paginate(
            Owners=["self"], Filters=[{"Name": name, "Values": [value]} for name, value in filters.items()]
        )
        found = [_image(dict(image)) for page in pages for image in page["Images"]]
        return sorted(found, key=lambda image: image.created, reverse=True)


def _image(answer: dict[str, Any]) -> Image:
    disks = (mapping.get("Ebs", {}) for mapping in answer.get("BlockDeviceMappings", []))
    deprecated = answer.get("DeprecationTime")
    # AWS names the source of every image. Where it names an instance too, the image was made of that instance.
    is_copy = not answer.get("SourceInstanceId")
    return Image(
        id=answer["ImageId"],
        name=answer.get("Name", ""),
        state=answer.get("State", ""),
        created=answer.get("CreationDate", ""),
        tags=tags.read(answer),
        snapshots=tuple(disk["SnapshotId"] for disk in disks if disk.get("SnapshotId")),
        owner=answer.get("OwnerId", ""),
        deprecated_at=datetime.fromisoformat(deprecated) if deprecated else None,
        public=bool(answer.get("Public")),
        copied_from=answer.get("SourceImageId", "") if is_copy else "",
        locked=answer.get("DeregistrationProtection", "").startswith("enabled"),
        imds_support=answer.get("ImdsSupport", ""),
    )
