"""EC2 actions that moto lacks, and parameters that it ignores."""

import base64
from datetime import UTC
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import InvalidParameterValue
from moto.ec2.responses import EC2Response

from localcloud.ec2.pages import paged

IMDS_V2 = "v2.0"

# moto's own actions, which those below replace.
_moto_block_device_mapping = EC2Response._parse_block_device_mapping  # noqa: SLF001 # moto has no seam here
_moto_describe_image_attribute = EC2Response.describe_image_attribute
_moto_describe_images = EC2Response.describe_images
_moto_describe_snapshots = EC2Response.describe_snapshots
_moto_modify_image_attribute = EC2Response.modify_image_attribute


def create_image(self: Any) -> ActionResult:
    """CreateImage, with NoReboot and the tags of snapshots."""
    self.error_on_dryrun()
    image = self.ec2_backend.create_image(
        self._get_param("InstanceId"),
        self._get_param("Name"),
        self._get_param("Description", ""),
        tag_specifications=self._get_param("TagSpecifications", []),
        no_reboot=self._get_bool_param("NoReboot", False),
    )
    return ActionResult({"ImageId": image.id})


def modify_image_attribute(self: Any) -> ActionResult:
    """ModifyImageAttribute, with ImdsSupport, which AWS takes once and for ever.

    Raises:
        InvalidParameterValue: it is to be anything but v2.0.
    """
    attribute = self._get_param("Attribute")
    value = self._get_param("Value") if attribute == "imdsSupport" else self._get_param("ImdsSupport", {}).get("Value")
    if value is None:
        return _moto_modify_image_attribute(self)
    self.error_on_dryrun()
    if value != IMDS_V2:
        raise InvalidParameterValue(f"Value ({value}) for parameter imdsSupport is invalid: it is {IMDS_V2}.")
    self.ec2_backend.registered_image(self._get_param("ImageId")).imds_support = value
    return EmptyResult()


def get_console_output(self: Any) -> ActionResult:
    """GetConsoleOutput: the machine's own journal."""
    self.error_on_dryrun()
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    output = base64.b64encode(instance.console().encode()).decode()
    return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})


def parse_block_device_mapping(self: Any) -> list[dict[str, Any]]:
    """BlockDeviceMappings of RunInstances; deleted with the instance by default, which moto has reversed."""
    mappings: list[dict[str, Any]] = _moto_block_device_mapping(self)
    for mapping, requested in zip(mappings, self._get_param("BlockDeviceMappings", []), strict=True):
        mapping["Ebs"]["DeleteOnTermination"] = requested.get("Ebs", {}).get("DeleteOnTermination", True)
    return mappings


def copy_image(self: Any) -> ActionResult:
    """CopyImage, with the tags of the request and, if requested, of the source."""
    self.error_on_dryrun()
    source_id = self._get_param("SourceImageId")
    image = self.ec2_backend.copy_image(
        source_id, self._get_param("SourceRegion"), self._get_param("Name"), self._get_param("Description")
    )
    if self._get_bool_param("CopyImageTags", False):
        image.add_tags({tag["key"]: tag["value"] for tag in self.ec2_backend.amis[source_id].get_tags()})
    requested = self._parse_tag_specification()
    image.add_tags(requested.get("image", {}))
    image.ebs_snapshot.add_tags(requested.get("snapshot", {}))
    return ActionResult({"ImageId": image.id})


def deregister_image(self: Any) -> ActionResult:
    """DeregisterImage, with DeleteAssociatedSnapshots."""
    self.error_on_dryrun()
    image = self.ec2_backend.registered_image(self._get_param("ImageId"))
    self.ec2_backend.deregister_image(image.id)
    results = []
    if self._get_bool_param("DeleteAssociatedSnapshots", False):
        self.ec2_backend.delete_snapshot(image.ebs_snapshot.id)
        results.append({"SnapshotId": image.ebs_snapshot.id, "ReturnCode": "success"})
    return ActionResult({"Return": True, "DeleteSnapshotResults": results})


def enable_image_deprecation(self: Any) -> ActionResult:
    """EnableImageDeprecation."""
    self.error_on_dryrun()
    when = self._get_param("DeprecateAt")
    self.ec2_backend.enable_image_deprecation(
        self._get_param("ImageId"), when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    )
    return ActionResult({"Return": True})


def disable_image_deprecation(self: Any) -> ActionResult:
    """DisableImageDeprecation."""
    self.error_on_dryrun()
    self.ec2_backend.disable_image_deprecation(self._get_param("ImageId"))
    return ActionResult({"Return": True})


def seen_images(self: Any) -> ActionResult:
    """DescribeImages, without what is hidden unless requested."""
    answer: Any = _moto_describe_images(self).result
    images = self.ec2_backend.seen(
        answer["Images"],
        # Callers that name an image by id see deprecated ones too.
        deprecated=self._get_bool_param("IncludeDeprecated", False) or bool(self._get_param("ImageIds")),
        disabled=self._get_bool_param("IncludeDisabled", False),
    )
    return ActionResult({**answer, "Images": images})


def describe_image_attribute(self: Any) -> ActionResult:
    """DescribeImageAttribute, with imdsSupport."""
    if self._get_param("Attribute") != "imdsSupport":
        return _moto_describe_image_attribute(self)
    image_id = self._get_param("ImageId")
    value = self.ec2_backend.registered_image(image_id).imds_support
    return ActionResult({"ImageId": image_id, "ImdsSupport": {"Value": value} if value else {}})


def modify_instance_metadata_options(self: Any) -> ActionResult:
    """ModifyInstanceMetadataOptions: what the request does not name stays, where moto takes the defaults."""
    self.error_on_dryrun()
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    requested = {
        "http_tokens": self._get_param("HttpTokens"),
        "http_put_response_hop_limit": self._get_int_param("HttpPutResponseHopLimit"),
        "http_endpoint": self._get_param("HttpEndpoint"),
        "http_protocol_ipv6": self._get_param("HttpProtocolIpv6"),
        "instance_metadata_tags": self._get_param("InstanceMetadataTags"),
    }
    vars(instance.metadata_options).update({name: value for name, value in requested.items() if value is not None})
    return ActionResult({"InstanceId": instance.id, "InstanceMetadataOptions": instance.metadata_options})


def delete_launch_template_versions(self: Any) -> ActionResult:
    """DeleteLaunchTemplateVersions: reports the failed beside the deleted versions."""
    self.error_on_dryrun()
    template_id, name = self._get_param("LaunchTemplateId"), self._get_param("LaunchTemplateName")
    backend = self.ec2_backend
    template = backend.get_launch_template(template_id) if template_id else backend.get_launch_template_by_name(name)
    deleted, kept = backend.delete_launch_template_versions(template, self._get_param("Versions", []))
    named = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
    return ActionResult(
        {
            "SuccessfullyDeletedLaunchTemplateVersions": [{**named, "VersionNumber": number} for number in deleted],
            "UnsuccessfullyDeletedLaunchTemplateVersions": [
                {**named, "VersionNumber": number, "ResponseError": {"Code": code, "Message": message}}
                for number, code, message in kept
            ],
        }
    )


def owned_snapshots(self: Any) -> ActionResult:
    """DescribeSnapshots, of the owners that the request names."""
    answer: Any = _moto_describe_snapshots(self).result
    owners = {self.current_account if owner == "self" else owner for owner in self._get_param("OwnerIds", [])}
    snapshots = [each for each in answer["Snapshots"] if not owners or each.owner_id in owners]
    return ActionResult({**answer, "Snapshots": snapshots})


describe_images = paged("describe_images", seen_images, "Images", 1, 1000)
describe_instances = paged("describe_instances", EC2Response.describe_instances, "Reservations", 5, 1000)
describe_launch_templates = paged(
    "describe_launch_templates", EC2Response.describe_launch_templates, "LaunchTemplates", 1, 200
)
describe_launch_template_versions = paged(
    "describe_launch_template_versions", EC2Response.describe_launch_template_versions, "LaunchTemplateVersions", 1, 200
)
describe_network_interfaces = paged(
    "describe_network_interfaces", EC2Response.describe_network_interfaces, "NetworkInterfaces", 5, 1000
)
describe_security_groups = paged(
    "describe_security_groups", EC2Response.describe_security_groups, "SecurityGroups", 5, 1000
)
describe_snapshots = paged("describe_snapshots", owned_snapshots, "Snapshots", 5, 1000)
describe_volumes = paged("describe_volumes", EC2Response.describe_volumes, "Volumes", 5, 1000)

ACTIONS = (
    create_image,
    copy_image,
    deregister_image,
    delete_launch_template_versions,
    describe_image_attribute,
    describe_images,
    describe_instances,
    describe_launch_template_versions,
    describe_launch_templates,
    describe_network_interfaces,
    describe_security_groups,
    describe_snapshots,
    describe_volumes,
    disable_image_deprecation,
    enable_image_deprecation,
    get_console_output,
    modify_image_attribute,
    modify_instance_metadata_options,
)
