"""Images: CreateImage keeps the container's disk, and an AMI that is launched runs it."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from moto.ec2.exceptions import InvalidTaggableResourceType
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


class ImageRules:
    """What moto's EC2 backend does with images, replaced where a container image is behind them.

    Mixed into the backend: `amis`, `get_instance` and the rest are moto's.
    """

    cloud: ClassVar[Cloud]
    amis: dict[str, Any]
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
        for other in self.amis.values():
            if other.name == name:
                raise DuplicateImageNameError(name, other.id)
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
        image.ebs_snapshot.add_tags(tags["snapshot"])
        image.ebs_snapshot.status = "pending"
        self.amis[ami_id] = image
        threading.Thread(
            target=self._keep_disk, args=(image, instance, not no_reboot), name=f"commit-{ami_id}", daemon=True
        ).start()
        return image

    def _keep_disk(self, image: LocalAmi, instance: LocalInstance, reboot: bool) -> None:
        problem = ""
        instance.expect_down(reboot)
        try:
            image.engine_image = instance.machine.commit(image.id, reboot=reboot)
        except EngineError as error:
            problem = str(error)
            log.warning("image %s was not made: %s", image.id, problem)
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

    def copy_image(self, *args: Any, **kwargs: Any) -> Any:
        """Copy an image within the region: another name for the same disk."""
        copied = super().copy_image(*args, **kwargs)  # type: ignore[misc]
        source = self.amis.get(kwargs.get("source_image_id") or args[0])
        if isinstance(source, LocalAmi) and source.engine_image:
            copied.engine_image = self.cloud.engine.tag(source.engine_image, copied.id)
        return copied

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
            threading.Thread(target=self.remove_condemned_images, name=f"remove-{image.id}", daemon=True).start()

    def remove_condemned_images(self) -> None:
        """Try to remove the engine's images of deregistered AMIs; those still in use are tried again later."""
        for reference in list(self._condemned):
            try:
                self.cloud.engine.remove_image(reference)
            except ImageInUseError:
                continue
            except EngineError:
                log.exception("image %s was not removed", reference)
            with contextlib.suppress(ValueError):  # another thread was quicker
                self._condemned.remove(reference)
