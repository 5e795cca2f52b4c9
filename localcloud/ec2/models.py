"""moto's EC2 backend with containers behind the instances, and the thread that notices when one exits."""

from __future__ import annotations

import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidAMIIdError,
    InvalidKeyPairNameError,
    InvalidParameterCombination,
    InvalidSecurityGroupNotFoundError,
    MissingParameterError,
    OperationNotPermitted4,
)
from moto.ec2.models.iam_instance_profile import IamInstanceProfileAssociation
from moto.ec2.models.instances import Instance, InstanceState, Reservation
from moto.ec2.utils import convert_tag_spec, filter_iam_instance_profiles
from moto.iam.exceptions import NotFoundException

from localcloud.adoption import AdoptedBackend
from localcloud.ec2 import exceptions
from localcloud.ec2.image_states import ImageStates
from localcloud.ec2.images import ROOT_DEVICE, ROOT_GIBIBYTES, ImageRules, LocalAmi
from localcloud.ec2.instances import LocalInstance
from localcloud.ec2.lookups import Lookups
from localcloud.ec2.machines import Machine
from localcloud.ec2.templates import TemplateRules
from localcloud.ec2.validation import SSM_IMAGE
from localcloud.exceptions import EngineError
from localcloud.vpc.interfaces import VpcRules

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

log = logging.getLogger(__name__)

SEED_IMAGE_NAME = "debian-12-amd64-localcloud"
DEBIAN_ACCOUNT = "136693071363"
"""The account that publishes Debian's own AMIs; the seed stands in for one of them."""
SWITCHES = frozenset({"disable_api_termination", "disable_api_stop", "ebs_optimized", "source_dest_check"})
STOPPED_ONLY = frozenset({"instance_type", "user_data", "kernel", "ramdisk", "ebs_optimized"})
"""Attributes that are set while the instance is stopped."""
RECONNECT_SECONDS = 1.0
RESET_THREADS = 4


class LocalEC2Backend(AdoptedBackend, ImageRules, ImageStates, TemplateRules, Lookups, VpcRules):
    """EC2 of one account and region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        self._instances, self._indexed = {}, 0
        self.disks, self._users, self._condemned = {}, {}, []
        self.answers: dict[tuple[str, str], tuple[bytes, Any]] = {}
        """By action and client token, what was requested and what was answered."""
        super().__init__(region_name, account_id)
        self.amis[seed_image_id(region_name)] = self._seed_image()

    def run_instances(
        self,
        image_id: str,
        count: int,
        user_data: Any,
        security_group_names: list[str],
        **kwargs: Any,
    ) -> Reservation:
        """Launch instances, also for Auto Scaling: they are pending when this returns, and boot by themselves."""
        template: dict[str, Any] = {}
        if kwargs.get("launch_template"):
            template = self.template_version(kwargs["launch_template"]).data
        image = self._launchable(self.resolved_image(image_id or template.get("ImageId") or ""))
        self._check_launch(template, security_group_names, kwargs)
        behavior = template.get("InstanceInitiatedShutdownBehavior")
        if behavior and not kwargs.get("instance_initiated_shutdown_behavior"):
            kwargs["instance_initiated_shutdown_behavior"] = behavior
        metadata = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2} if image.imds_support else {}
        kwargs["metadata_options"] = {
            **metadata,
            **template.get("MetadataOptions", {}),
            **(kwargs.get("metadata_options") or {}),
        }
        requested = kwargs.get("block_device_mappings") or template.get("BlockDeviceMappings")
        if kwargs.get("launch_config"):
            requested = kwargs["launch_config"].block_device_mappings
        kwargs["block_device_mappings"] = self._mappings(image, requested or [])
        tags = dict(kwargs.get("tags") or {})  # moto takes it out of its own copy

        self.place(count, security_group_names, template, kwargs)
        addresses = self._take_addresses(count)
        try:
            reservation = super().run_instances(image.id, count, user_data, security_group_names, **kwargs)
        except Exception:
            self._release(addresses)
            raise
        template_tags = convert_tag_spec(template.get("TagSpecifications", []))
        launched = cast("list[LocalInstance]", reservation.instances)
        for instance, address in zip(launched, addresses, strict=True):
            instance.disable_api_termination = template.get("DisableApiTermination", False)
            self._complete(instance, template_tags, tags, kwargs.get("nics") or [])
            instance.launch(image.engine_image, address)
        return reservation

    def _check_launch(self, template: dict[str, Any], group_names: list[str], kwargs: dict[str, Any]) -> None:
        key_name = kwargs.get("key_name") or template.get("KeyName")
        if key_name and key_name not in self.key_pairs:
            raise InvalidKeyPairNameError(key_name)
        self.require_profile(kwargs.get("iam_instance_profile_name"), kwargs.get("iam_instance_profile_arn"))
        for name in group_names:
            if self.get_security_group_by_name_or_id(name) is None:
                raise InvalidSecurityGroupNotFoundError(name)
        for interface in kwargs.get("nics") or ():
            if interface.get("NetworkInterfaceId"):
                self._refuse_attached(interface["NetworkInterfaceId"])

    def require_profile(self, name: str | None, arn: str | None) -> None:
        """Make sure that an instance profile exists, if one is named."""
        if name and arn:
            raise InvalidParameterCombination(
                "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'"
            )
        try:
            filter_iam_instance_profiles(self.account_id, self.partition, arn, name)
        except NotFoundException:
            raise exceptions.unknown_profile(arn or name, "arn" if arn else "name", "ARN" if arn else "name") from None

    def associate_iam_instance_profile(
        self,
        instance_id: str,
        iam_instance_profile_name: str | None = None,
        iam_instance_profile_arn: str | None = None,
    ) -> IamInstanceProfileAssociation:
        """Give an instance a profile that exists; moto's error of an unknown one is IAM's."""
        self.require_profile(iam_instance_profile_name, iam_instance_profile_arn)
        return super().associate_iam_instance_profile(instance_id, iam_instance_profile_name, iam_instance_profile_arn)

    def capacity(self, smallest: int, largest: int, subnet_id: str | None) -> int:
        """Return how many instances RunInstances launches: as many as there is room for, up to the largest number."""
        room = min(largest, self.cloud.engine.addresses.count_free())
        if room < smallest:
            raise exceptions.insufficient_addresses(self.cloud.engine.cidr)
        return max(smallest, min(room, self.get_subnet(subnet_id).available_ip_address_count)) if subnet_id else room

    def resolved_image(self, image_id: str) -> str:
        """Return the id of an image that may be named by a parameter of Systems Manager."""
        if not image_id.startswith(SSM_IMAGE):
            return image_id
        name = image_id.removeprefix(SSM_IMAGE)
        found = self.cloud.backend("ssm", self.account_id, self.region_name).get_parameters([name]).get(name)
        if found is None:
            raise exceptions.image_parameter(f"The following aliases are invalid: {name}")
        if found.data_type != "aws:ec2:image":
            raise exceptions.image_parameter(f"Unsupported data type of {name}, supported: aws:ec2:image")
        return str(found.value)

    def _launchable(self, image_id: str) -> LocalAmi:
        image = self.launchable_image(image_id)
        if image is None:
            raise InvalidAMIIdError(image_id)
        if image.state != "available" or not image.engine_image:
            raise exceptions.image_unavailable(image_id)
        return image

    def _refuse_attached(self, interface_id: str) -> None:
        if self.get_network_interface(interface_id).attachment_id:
            raise EC2ClientError("InvalidNetworkInterface.InUse", f"Interface: [{interface_id}] in use.")

    def _mappings(self, image: LocalAmi, requested: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the block devices to create: the image's, changed and added to by those of the request."""
        merged = {mapping["DeviceName"]: dict(mapping["Ebs"]) for mapping in image.block_device_mappings}
        if image.ebs_snapshot.id not in self.snapshots:  # another account's
            del merged[image.root_device_name]["SnapshotId"]
        for mapping in requested:
            name = mapping["DeviceName"]
            if mapping.get("NoDevice") is not None:
                merged.pop(name, None)
            elif "Ebs" in mapping:
                given = {key: value for key, value in mapping["Ebs"].items() if value is not None}
                merged[name] = {"DeleteOnTermination": True, **merged.get(name, {}), **given}
        for ebs in merged.values():
            snapshot_id = ebs.get("SnapshotId")
            if not snapshot_id and not ebs.get("VolumeSize"):
                raise MissingParameterError("size or snapshotId")
            if snapshot_id:
                snapshot = self.get_snapshot(snapshot_id)
                if ebs.get("VolumeSize") and int(ebs["VolumeSize"]) < snapshot.volume.size:
                    raise exceptions.volume_too_small(ebs["VolumeSize"], snapshot_id, snapshot.volume.size)
        return [{"DeviceName": name, "Ebs": ebs} for name, ebs in merged.items()]

    def _take_addresses(self, count: int) -> list[str]:
        """Take one address of the containers' network per instance, or none at all."""
        taken: list[str] = []
        for _ in range(count):
            address = self.cloud.engine.addresses.take()
            if address is None:
                self._release(taken)
                raise exceptions.insufficient_addresses(self.cloud.engine.cidr)
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
        interfaces: list[dict[str, Any]],
    ) -> None:
        """Do what moto leaves out: tags of the template, and new interfaces go with the instance by default."""
        volume_tags = {**template_tags.get("volume", {}), **tags.get("volume", {})}
        for _, mapping in instance.get_block_device_mapping:
            self.get_volume(mapping.volume_id).add_tags(volume_tags)
        interface_tags = {**template_tags.get("network-interface", {}), **tags.get("network-interface", {})}
        requested = {int(each["DeviceIndex"]): each for each in interfaces}
        for index, interface in instance.nics.items():
            given = requested.get(index, {})
            interface.delete_on_termination = given.get("DeleteOnTermination", "NetworkInterfaceId" not in given)
            interface.add_tags(interface_tags)

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        """Terminate instances; none in an Availability Zone where one of them is protected."""
        instances = self.get_multi_instances_by_id(instance_ids)
        protected = [instance for instance in instances if instance.disable_api_termination]
        zones = {instance.availability_zone for instance in protected}
        ended = [(each, each.terminate()) for each in instances if each.availability_zone not in zones]
        if protected:
            raise OperationNotPermitted4(protected[0].id)
        return ended

    def modify_instance_attribute(self, instance_id: str, key: str, value: Any) -> Instance:
        """Set an attribute of an instance."""
        instance = self.get_instance(instance_id)
        if key in STOPPED_ONLY and instance.state != "stopped":
            raise exceptions.not_stopped(instance_id)
        if key in SWITCHES:
            value = str(value).lower() == "true"
        return super().modify_instance_attribute(instance_id, key, value)

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
        image.ebs_snapshot.volume.size = ROOT_GIBIBYTES
        self.disks[image.ebs_snapshot.id] = self.os_image
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
