"""Images: CreateImage keeps the container's disk, and an AMI that is launched runs it."""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from moto.ec2.exceptions import InvalidAMIIdError, InvalidTaggableResourceType
from moto.ec2.models.amis import Ami
from moto.ec2.models.instances import StateReason
from moto.ec2.utils import random_ami_id

from localcloud.ec2.exceptions import DuplicateImageNameError, IncorrectInstanceStateError
from localcloud.exceptions import EngineError, ImageInUseError

if TYPE_CHECKING:
    from localcloud.cloud import Cloud
    from localcloud.ec2.instances import LocalInstance

log = logging.getLogger(__name__)

ROOT_DEVICE = "/dev/xvda"


class LocalAmi(Ami):
    """An image backed by one of the engine's; `engine_image` is "" until the commit is done."""

    engine_image = ""
    state_reason: StateReason | None = None
    source_image_id: str | None = None
    source_image_region: str | None = None
    deprecated_at: datetime | None = None
    imds_support: str | None = None
    """"v2.0" where its instances require IMDSv2 unless the launch sets otherwise."""

    @property
    def deprecation_time(self) -> str | None:
        """When it is deprecated, as the API writes it."""
        return self.deprecated_at.strftime("%Y-%m-%dT%H:%M:%S.000Z") if self.deprecated_at else None

    def derive_from(self, source_id: str, region: str) -> None:
        """Record the image that this one was made from."""
        self.source_image_id, self.source_image_region = source_id, region

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """Return what a filter compares; an image without a source has an empty one."""
        if filter_name == "source-image-id":
            return self.source_image_id or ""
        return super().get_filter_value(filter_name, method_name)


class ImageRules:
    """What moto's EC2 backend does with images, replaced where a container image is behind them.

    Mixed into the backend: `amis`, `get_instance` and the rest are moto's.
    """

    cloud: ClassVar[Cloud]
    amis: dict[str, Any]
    region_name: str
    _condemned: list[str]

    def create_image(
        self,
        instance_id: str,
        name: str,
        description: str,
        tag_specifications: list[dict[str, Any]],
        *,
        no_reboot: bool = False,
    ) -> LocalAmi:
        """Begin to make an image of an instance, running or stopped; it is pending until the disk is kept.

        Raises:
            DuplicateImageNameError: an image of that name exists.
            IncorrectInstanceStateError: the instance is neither running nor stopped.
        """
        instance: LocalInstance = self.get_instance(instance_id)  # type: ignore[attr-defined]
        if instance.state not in ("running", "stopped"):
            raise IncorrectInstanceStateError(instance_id, "imaged")
        self._refuse_taken(name)
        tags = {"image": {}, "snapshot": {}}  # type: dict[str, dict[str, str]]
        for specification in tag_specifications:
            kind = specification["ResourceType"]
            if kind not in tags:
                raise InvalidTaggableResourceType(kind)
            tags[kind].update({tag["Key"]: tag["Value"] for tag in specification["Tags"]})

        ami_id = random_ami_id()
        image = LocalAmi(
            self,
            ami_id,
            instance=instance,
            name=name,
            description=description,
            state="pending",
            root_device_name=ROOT_DEVICE,
            root_device_type="ebs",
            hypervisor="xen",
            snapshot_description=f"Created by CreateImage({instance_id}) for {ami_id}",
            tags=tags["image"],
        )
        image.image_location = f"{image.owner_id}/{name}"
        image.derive_from(instance.image_id, self.region_name)
        image.ebs_snapshot.add_tags(tags["snapshot"])
        image.ebs_snapshot.status = "pending"
        self.amis[ami_id] = image
        self.cloud.in_background(f"commit-{ami_id}", lambda: self._keep_disk(image, instance, not no_reboot))
        return image

    def _keep_disk(self, image: LocalAmi, instance: LocalInstance, reboot: bool) -> None:
        problem = ""
        instance.expect_down(reboot)
        try:
            image.engine_image = instance.machine.commit(image.id, reboot=reboot)
        except EngineError as error:
            problem = str(error)
            log.warning("cannot create image %s: %s", image.id, problem)
        finally:
            instance.expect_down(False)
        with self.cloud.lock:
            if image.id not in self.amis:  # deregistered meanwhile
                self._condemn(image)
            elif problem:
                image.state = "failed"
                image.state_reason = StateReason(f"Server.InternalError: {problem}", "Server.InternalError")
                image.ebs_snapshot.status = "error"
            else:
                image.state = "available"
                image.ebs_snapshot.status = "completed"

    def copy_image(
        self, source_image_id: str, source_region: str, name: str | None = None, description: str | None = None
    ) -> LocalAmi:
        """Copy an image within the region: another name for the same disk.

        Raises:
            InvalidAMIIdError: there is no such image.
            DuplicateImageNameError: an image of that name exists.
        """
        source = self.amis.get(source_image_id)
        if source is None:
            raise InvalidAMIIdError(source_image_id)
        self._refuse_taken(name or source.name)
        copied = LocalAmi(
            self,
            random_ami_id(),
            source_ami=source,
            name=name,
            description=description,
            root_device_name=source.root_device_name,
            root_device_type=source.root_device_type,
            hypervisor=source.hypervisor,
            snapshot_description=f"Copied for DestinationAmi from SourceAmi {source_image_id}",
        )
        copied.image_location = f"{copied.owner_id}/{copied.name}"
        copied.derive_from(source_image_id, source_region)
        copied.imds_support = source.imds_support
        if source.engine_image:
            copied.engine_image = self.cloud.engine.tag(source.engine_image, copied.id)
        self.amis[copied.id] = copied
        return copied

    def _refuse_taken(self, name: str) -> None:
        for other in self.amis.values():
            if other.name == name:
                raise DuplicateImageNameError(name, other.id)

    def deregister_image(self, ami_id: str) -> None:
        """Forget the image, and remove the engine's as soon as no instance runs it."""
        image = self.amis.get(ami_id)
        super().deregister_image(ami_id)  # type: ignore[misc]
        if image is not None:
            self._condemn(image)

    def _condemn(self, image: Any) -> None:
        # Only what was made here: the OS image belongs to the set-up.
        reference = self.cloud.engine.reference(image.id)
        if getattr(image, "engine_image", None) == reference:
            self._condemned.append(reference)
            self.cloud.in_background(f"remove-{image.id}", self.remove_condemned_images)

    def remove_condemned_images(self) -> None:
        """Try to remove the engine's images of deregistered AMIs; those still in use are tried again later."""
        for reference in list(self._condemned):
            try:
                self.cloud.engine.remove_image(reference)
            except ImageInUseError:
                continue
            except EngineError:
                log.exception("cannot remove image %s", reference)
            with contextlib.suppress(ValueError):  # another thread removed it first
                self._condemned.remove(reference)
