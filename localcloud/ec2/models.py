"""moto's EC2 backend with containers behind the instances, and the thread that notices when one exits."""

from __future__ import annotations

import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, cast

from moto.ec2.exceptions import DependencyViolationError, InvalidAMIIdError, InvalidKeyPairNameError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Reservation
from moto.ec2.utils import convert_tag_spec

from localcloud.ec2.exceptions import ImageUnavailableError, InsufficientAddressesError
from localcloud.ec2.image_states import ImageStates
from localcloud.ec2.images import ROOT_DEVICE, ImageRules, LocalAmi
from localcloud.ec2.instances import LocalInstance
from localcloud.ec2.lookups import Lookups
from localcloud.ec2.machines import Machine
from localcloud.ec2.templates import TemplateRules
from localcloud.exceptions import EngineError

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

log = logging.getLogger(__name__)

SEED_IMAGE_NAME = "debian-12-amd64-localcloud"
DEBIAN_ACCOUNT = "136693071363"
"""The account that publishes Debian's own AMIs; the seed stands in for one of them."""
NO_TOKEN = "ABCDE"  # noqa: S105 # what moto passes when the request has no client token
RECONNECT_SECONDS = 1.0
RESET_THREADS = 4


class LocalEC2Backend(ImageRules, ImageStates, TemplateRules, Lookups, EC2Backend):
    """EC2 of one account and region."""

    os_image: ClassVar[str]
    """The engine's image that the seed AMI boots."""

    def __init__(self, region_name: str, account_id: str) -> None:
        self._instances, self._indexed = {}, 0
        super().__init__(region_name, account_id)
        self._condemned: list[str] = []
        self._launches: dict[str, str] = {}
        """Reservation by client token."""
        self.amis[seed_image_id(region_name)] = self._seed_image()

    def run_instances(
        self,
        image_id: str,
        count: int,
        user_data: Any,
        security_group_names: list[str],
        **kwargs: Any,
    ) -> Reservation:
        """Launch instances, also for Auto Scaling: they are pending when this returns, and boot by themselves.

        Raises:
            InvalidAMIIdError: there is no such image.
            ImageUnavailableError: the image is still pending, failed, or is disabled.
            InvalidKeyPairNameError: there is no key pair of that name.
            InsufficientAddressesError: the instances' network is full.
        """
        token = kwargs.get("client_token")
        if token in self._launches:
            return self.reservations[self._launches[token]]
        template: dict[str, Any] = {}
        if kwargs.get("launch_template"):
            template = self._get_template_from_args(kwargs["launch_template"]).data
        image = self._launchable(image_id or template.get("ImageId") or "")
        key_name = kwargs.get("key_name") or template.get("KeyName")
        if key_name and key_name not in self.key_pairs:
            raise InvalidKeyPairNameError(key_name)
        behavior = template.get("InstanceInitiatedShutdownBehavior")
        if behavior and not kwargs.get("instance_initiated_shutdown_behavior"):
            kwargs["instance_initiated_shutdown_behavior"] = behavior
        metadata = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2} if image.imds_support else {}
        kwargs["metadata_options"] = {
            **metadata,
            **template.get("MetadataOptions", {}),
            **(kwargs.get("metadata_options") or {}),
        }
        tags = dict(kwargs.get("tags") or {})  # moto takes it out of its own copy

        addresses = self._take_addresses(count)
        try:
            reservation = super().run_instances(image_id, count, user_data, security_group_names, **kwargs)
        except Exception:
            self._release(addresses)
            raise
        template_tags = convert_tag_spec(template.get("TagSpecifications", []))
        launched = cast("list[LocalInstance]", reservation.instances)
        for instance, address in zip(launched, addresses, strict=True):
            self._complete(instance, template_tags, tags, kwargs.get("block_device_mappings"), template)
            instance.launch(image.engine_image, address)
        if token and token != NO_TOKEN:
            self._launches[token] = reservation.id
        return reservation

    def _launchable(self, image_id: str) -> LocalAmi:
        image = self.amis.get(image_id)
        if image is None:
            raise InvalidAMIIdError(image_id)
        if image.state != "available" or not isinstance(image, LocalAmi) or not image.engine_image:
            raise ImageUnavailableError(image_id)
        return image

    def _take_addresses(self, count: int) -> list[str]:
        """Take one address per instance, or none at all."""
        taken: list[str] = []
        for _ in range(count):
            address = self.cloud.engine.addresses.take()
            if address is None:
                self._release(taken)
                raise InsufficientAddressesError(self.cloud.engine.cidr)
            taken.append(address)
        return taken

    def _release(self, addresses: list[str]) -> None:
        for address in addresses:
            self.cloud.engine.addresses.release(address)

    def _complete(
        self,
        instance: LocalInstance,
        template_tags: dict[str, dict[str, str]],
        tags: dict[str, dict[str, str]],
        mappings: list[dict[str, Any]] | None,
        template: dict[str, Any],
    ) -> None:
        """Do what AWS does at launch and moto leaves out: tags of the template, deletion along with the instance."""
        keep = {
            mapping["DeviceName"]
            for mapping in mappings or template.get("BlockDeviceMappings") or []
            if str(mapping.get("Ebs", {}).get("DeleteOnTermination", True)).lower() == "false"
        }
        volume_tags = {**template_tags.get("volume", {}), **tags.get("volume", {})}
        for device, mapping in instance.get_block_device_mapping:
            mapping.delete_on_termination = device not in keep
            self.get_volume(mapping.volume_id).add_tags(volume_tags)
        interface_tags = {**template_tags.get("network-interface", {}), **tags.get("network-interface", {})}
        for interface in instance.nics.values():
            interface.delete_on_termination = True
            interface.add_tags(interface_tags)

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        """Delete the group.

        Raises:
            DependencyViolationError: a network interface is in it; AWS refuses that, and moto does not.
        """
        group = self.get_security_group_by_name_or_id(group_id or name or "")
        if group is not None and any(group in interface.group_set for interface in self.enis.values()):
            raise DependencyViolationError(f"resource {group.id} has a dependent object")
        super().delete_security_group(name=name, group_id=group_id)

    def _seed_image(self) -> LocalAmi:
        """Return the OS image as Debian's public AMI, which every account of the region sees."""
        image = LocalAmi(
            self,
            seed_image_id(self.region_name),
            name=SEED_IMAGE_NAME,
            description="Debian 12 (amd64), as a container of the embedded cloud",
            owner_id=DEBIAN_ACCOUNT,
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            hypervisor="xen",
            image_location=f"{DEBIAN_ACCOUNT}/{SEED_IMAGE_NAME}",
            root_device_type="ebs",
            root_device_name=ROOT_DEVICE,
            snapshot_description=SEED_IMAGE_NAME,
        )
        image.engine_image = self.os_image
        return image


def seed_image_id(region: str) -> str:
    """Return the id of the region's seed AMI: like Debian's own, it is one for all accounts, and one per region."""
    return f"ami-{hashlib.sha256(f'{SEED_IMAGE_NAME} {region}'.encode()).hexdigest()[:17]}"


class Watch:
    """Follows the engine's events, to handle instances that power themselves off."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._follow, name="watch", daemon=True).start()

    def stop(self) -> None:
        """End, and wait until no container is being made or committed."""
        self._stopped.set()
        for instance in self._all():
            instance.machine.abandon()

    def reset(self) -> None:
        """Remove every machine, at once where several wait for the engine."""
        with self.cloud.lock:
            machines = [instance.machine for instance in self._all() if instance.state != "terminated"]
        with ThreadPoolExecutor(RESET_THREADS) as pool:
            list(pool.map(Machine.destroy, machines))
        for machine in machines:
            self.cloud.engine.addresses.release(machine.address)

    def _all(self) -> list[LocalInstance]:
        return [instance for backend in self.cloud.backends("ec2") for instance in backend.all_instances()]

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._catch_up()
                for instance_id in self.cloud.engine.deaths():
                    self._handle_exit(instance_id)
            except EngineError as error:
                log.warning("lost the engine's event stream, reconnecting: %s", error)
            self._stopped.wait(RECONNECT_SECONDS)

    def _catch_up(self) -> None:
        """Handle instances that exited while the event stream was down."""
        with self.cloud.lock:
            running = [instance.id for instance in self._all() if instance.state == "running"]
        if running:
            up = self.cloud.engine.up()
            for instance_id in running:
                if instance_id not in up:
                    self._handle_exit(instance_id)

    def _handle_exit(self, instance_id: str) -> None:
        instance = self.cloud.instance(instance_id)
        if isinstance(instance, LocalInstance):
            # In another thread: the handler queries the engine, and may boot the machine again.
            threading.Thread(target=instance.went_down, name=f"exit-{instance_id}", daemon=True).start()
