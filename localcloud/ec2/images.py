"""Images and snapshots: they keep a container's disk, and an AMI that is launched runs its snapshot's."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotInUse
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.models.instances import StateReason
from moto.ec2.utils import convert_tag_spec, random_ami_id

from localcloud.ec2 import exceptions
from localcloud.exceptions import EngineError, ImageInUseError

if TYPE_CHECKING:
    from localcloud.cloud import Cloud
    from localcloud.ec2.instances import LocalInstance

log = logging.getLogger(__name__)

ROOT_DEVICE = "/dev/xvda"
ROOT_GIBIBYTES = 8
COPY_SECONDS = 1.0
"""How long a copy is pending; within the cloud it takes no time at all."""


class LocalAmi(Ami):
    """An image backed by its root snapshot's disk."""

    further_mappings: tuple[dict[str, Any], ...] = ()
    """The block devices besides the root."""
    state_reason: StateReason | None = None
    source_image_id: str | None = None
    source_image_region: str | None = None
    deprecated_at: datetime | None = None
    deregistration_protection = "disabled"
    imds_support: str | None = None
    """"v2.0" where its instances require IMDSv2 unless the launch sets otherwise."""

    @property
    def engine_image(self) -> str:
        """The engine's image that instances boot, or "" while there is none."""
        disk: str = self.ebs_snapshot.ec2_backend.disks.get(self.ebs_snapshot.id, "")
        return disk

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """Its block devices; the root volume goes with its instance, which moto has reversed."""
        root = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": self.ebs_snapshot.volume.size,
            "VolumeType": "gp2",
            "DeleteOnTermination": True,
            "Encrypted": self.ebs_snapshot.encrypted,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": root}, *self.further_mappings]

    @property
    def deprecation_time(self) -> str | None:
        """When it is deprecated, as the API writes it."""
        return self.deprecated_at.strftime("%Y-%m-%dT%H:%M:%S.000Z") if self.deprecated_at else None

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """Return what a filter compares; an image without a source has an empty one."""
        if filter_name == "source-image-id":
            return self.source_image_id or ""
        return super().get_filter_value(filter_name, method_name)


class ImageRules:
    """What moto's EC2 backend does with images and snapshots, replaced where a container image is behind them.

    Mixed into the backend: `amis`, `get_instance` and the rest are moto's.
    """

    cloud: ClassVar[Cloud]
    os_image: ClassVar[str]
    """The engine's image that the seed AMI boots."""
    account_id: str
    region_name: str
    amis: dict[str, Any]
    snapshots: dict[str, Snapshot]
    disks: dict[str, str]
    """The engine's image of a root disk, by the snapshot that holds it."""
    _users: dict[str, list[str]]
    """The images that were registered from a snapshot, by its id."""
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
        """Begin to make an image of an instance, running or stopped; it is pending until the disk is kept."""
        instance: LocalInstance = self.get_instance(instance_id)  # type: ignore[attr-defined]
        if instance.state not in ("running", "stopped"):
            raise exceptions.incorrect_instance_state(instance_id, "imaged")
        tags = convert_tag_spec(tag_specifications)
        ami_id = random_ami_id()
        image = self._new_image(
            ami_id,
            instance=instance,
            name=name,
            description=description,
            state="pending",
            hypervisor="xen",
            snapshot_description=f"Created by CreateImage({instance_id}) for {ami_id}",
            tags=tags.get("image", {}),
        )
        image.source_image_id, image.source_image_region = instance.image_id, self.region_name
        image.ebs_snapshot.add_tags(tags.get("snapshot", {}))
        self._begin_to_keep(image.ebs_snapshot, instance, image, reboot=not no_reboot)
        return image

    def _new_image(self, ami_id: str, **settings: Any) -> LocalAmi:
        """Record an image of a root volume, with a snapshot of its own."""
        for other in self.amis.values():
            if other.name == settings["name"]:
                raise exceptions.duplicate_image_name(other.name, other.id)
        image = LocalAmi(self, ami_id, **{"root_device_name": ROOT_DEVICE, "root_device_type": "ebs", **settings})
        image.image_location = f"{image.owner_id}/{image.name}"
        image.ebs_snapshot.volume.size = ROOT_GIBIBYTES
        self.amis[ami_id] = image
        return image

    def create_snapshot(
        self, volume_id: str, description: str, owner_id: str | None = None, from_ami: str | None = None
    ) -> Snapshot:
        """Record a snapshot; that of an instance's root volume is pending until the disk is kept."""
        snapshot: Snapshot = super().create_snapshot(volume_id, description, owner_id, from_ami)  # type: ignore[misc] # moto's backend comes after
        attachment = snapshot.volume.attachment
        if attachment and attachment.device == attachment.instance.root_device_name:
            self._begin_to_keep(snapshot, attachment.instance)
        return snapshot

    def _begin_to_keep(
        self, snapshot: Snapshot, instance: LocalInstance, image: LocalAmi | None = None, *, reboot: bool = False
    ) -> None:
        snapshot.status = "pending"
        self.cloud.in_background(
            f"commit-{snapshot.id}", lambda: self._keep_disk(snapshot, instance, image, reboot=reboot)
        )

    def _keep_disk(self, snapshot: Snapshot, instance: LocalInstance, image: LocalAmi | None, *, reboot: bool) -> None:
        problem = disk = ""
        name = image.id if image else snapshot.id
        instance.expect_down(reboot)
        try:
            disk = instance.machine.commit(name, reboot=reboot)
        except EngineError as error:
            problem = str(error)
            log.warning("cannot keep the disk of %s for %s: %s", instance.id, name, problem)
        finally:
            instance.expect_down(False)
        with self.cloud.lock:
            if disk and snapshot.id not in self.snapshots:  # deleted meanwhile
                self._condemn(disk)
            elif disk:
                self.disks[snapshot.id] = disk
            snapshot.status = "error" if problem else "completed"
            if image:
                image.state = "failed" if problem else "available"
            if image and problem:
                image.state_reason = StateReason(f"Server.InternalError: {problem}", "Server.InternalError")

    def copy_image(
        self,
        source_image_id: str,
        source_region: str,
        name: str | None = None,
        description: str | None = None,
        *,
        encrypted: bool = False,
        kms_key_id: str | None = None,
    ) -> LocalAmi:
        """Begin to copy an image, also from another region: another name for the same disk, pending for a moment."""
        there = self.cloud.backend("ec2", self.account_id, source_region)
        source: LocalAmi = there.launchable_image(source_image_id) or there.registered_image(source_image_id)
        if source.state != "available":
            raise exceptions.image_unavailable(source_image_id)
        storage = source.ebs_snapshot
        if source.owner_id == storage.owner_id != self.account_id and not (
            source.is_public
            or self.account_id in storage.create_volume_permission_userids
            or "all" in storage.create_volume_permission_groups
        ):
            raise EC2ClientError("InvalidRequest", "You do not have permission to access the storage of this ami")
        copied = self._new_image(
            random_ami_id(),
            source_ami=source,
            name=name,
            description=description,
            state="pending",
            root_device_name=source.root_device_name,
            root_device_type=source.root_device_type,
            hypervisor=source.hypervisor,
            snapshot_description=f"Copied for DestinationAmi from SourceAmi {source_image_id}",
        )
        copied.source_image_id, copied.source_image_region = source_image_id, source_region
        copied.imds_support = source.imds_support
        snapshot = copied.ebs_snapshot
        snapshot.status = "pending"
        snapshot.volume.size = storage.volume.size
        if encrypted or kms_key_id or storage.encrypted or self.ebs_encryption_by_default:  # type: ignore[attr-defined] # moto's
            snapshot.encrypted = True
            snapshot.kms_key_id = kms_key_id or self.default_kms_key_id or self._create_default_encryption_key()  # type: ignore[attr-defined] # as above
        if source.engine_image:
            self.disks[snapshot.id] = self.cloud.engine.tag(source.engine_image, copied.id)
        timer = threading.Timer(COPY_SECONDS, self._end_copy, [copied])
        timer.daemon = True
        timer.start()
        return copied

    def _end_copy(self, copied: LocalAmi) -> None:
        with self.cloud.lock:
            copied.state = "available"
            copied.ebs_snapshot.status = "completed"

    def register_snapshot(self, name: str, settings: Mapping[str, Any]) -> LocalAmi:
        """Make an image of a snapshot of a root volume, by the parameters of RegisterImage."""
        root = settings.get("RootDeviceName") or ROOT_DEVICE
        mappings = {mapping["DeviceName"]: mapping for mapping in settings.get("BlockDeviceMappings", [])}
        snapshot_id = mappings.pop(root, {}).get("Ebs", {}).get("SnapshotId")
        if snapshot_id:
            self.get_snapshot(snapshot_id)  # type: ignore[attr-defined] # a lookup
        image = self._new_image(
            random_ami_id(),
            name=name,
            description=settings.get("Description"),
            architecture=settings.get("Architecture", "i386"),
            virtualization_type=settings.get("VirtualizationType", "paravirtual"),
            root_device_name=root,
        )
        image.further_mappings = tuple(mappings.values())
        image.imds_support = settings.get("ImdsSupport")
        if snapshot_id:
            del self.snapshots[image.ebs_snapshot.id]
            image.ebs_snapshot = self.snapshots[snapshot_id]
            self._users.setdefault(snapshot_id, []).append(image.id)
        return image

    def delete_snapshot(self, snapshot_id: str) -> Snapshot:
        """Forget a snapshot, and remove the engine's image of its disk as soon as no instance runs it."""
        self.get_snapshot(snapshot_id)  # type: ignore[attr-defined] # a lookup
        for ami_id in self._users.get(snapshot_id, []):
            if ami_id in self.amis:
                raise InvalidSnapshotInUse(snapshot_id, ami_id)
        deleted: Snapshot = super().delete_snapshot(snapshot_id)  # type: ignore[misc] # as above
        disk = self.disks.pop(snapshot_id, None)
        if disk and disk != self.os_image:  # the OS image belongs to the set-up
            self._condemn(disk)
        return deleted

    def _condemn(self, disk: str) -> None:
        self._condemned.append(disk)
        self.cloud.in_background(f"remove-{disk}", self.remove_condemned_images)

    def remove_condemned_images(self) -> None:
        """Try to remove the engine's images of deleted snapshots; those still in use are tried again later."""
        for reference in list(self._condemned):
            try:
                self.cloud.engine.remove_image(reference)
            except ImageInUseError:
                continue
            except EngineError:
                log.exception("cannot remove image %s", reference)
            with contextlib.suppress(ValueError):  # another thread removed it first
                self._condemned.remove(reference)
