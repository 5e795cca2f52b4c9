"""EC2 actions that moto lacks, and parameters that it ignores."""

import base64
from collections.abc import Callable
from datetime import UTC
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue, OperationNotPermitted
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response

from localcloud.ec2.pages import paged
from localcloud.ec2.templates import derived

IMDS_V2 = "v2.0"

# moto's own actions, which those below replace.
_moto_create_launch_template = EC2Response.create_launch_template
_moto_create_launch_template_version = EC2Response.create_launch_template_version
_moto_describe_image_attribute = EC2Response.describe_image_attribute
_moto_describe_images = EC2Response.describe_images
_moto_describe_snapshots = EC2Response.describe_snapshots
_moto_describe_versions = EC2Response.describe_launch_template_versions
_moto_modify_instance_attribute = EC2Response.modify_instance_attribute
_moto_run_instances = EC2Response.run_instances

MERGED_BY_THE_BACKEND = {"TagSpecifications", "MetadataOptions", "UserData", "ImageId", "BlockDeviceMappings"}
"""Parameters that a launch gets of its template elsewhere, because there they are more than replaced."""


def run_instances(self: Any) -> ActionResult:
    """RunInstances: as many as MaxCount where there is room, and with all parameters that a launch template gives."""
    reference = self._get_param("LaunchTemplate")
    template = self.ec2_backend.template_version(reference).data if reference else {}
    request = {
        **{name: value for name, value in template.items() if name not in MERGED_BY_THE_BACKEND and value is not None},
        **self.params,
    }
    request["NetworkInterfaces"] = [
        {"DeviceIndex": index, **each} for index, each in enumerate(request.get("NetworkInterfaces", []))
    ]
    subnets = [request.get("SubnetId"), *(each.get("SubnetId") for each in request["NetworkInterfaces"])]
    request["MinCount"] = self.ec2_backend.capacity(
        int(request.get("MinCount", 1)), int(request.get("MaxCount", 1)), next(filter(None, subnets), None)
    )
    profile = request.get("IamInstanceProfile", {})
    self.ec2_backend.require_profile(profile.get("Name"), profile.get("Arn"))  # before moto does, with IAM's error
    self.params = request
    answer: ActionResult = _moto_run_instances(self)
    reservation: Any = answer.result
    for instance in reservation.instances:
        instance.disable_api_termination = bool(request.get("DisableApiTermination"))
    for instance in reservation.instances[1:]:  # moto gives it to the first
        if profile:
            self.ec2_backend.associate_iam_instance_profile(
                instance_id=instance.id,
                iam_instance_profile_name=profile.get("Name"),
                iam_instance_profile_arn=profile.get("Arn"),
            )
    return answer


def _all_or_none(action: str, method: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Return an action that adds all rules of a request or, when one is refused, none; moto adds those before it."""

    def whole(self: Any) -> ActionResult:
        group = self.ec2_backend.get_security_group_by_name_or_id(self._get_param("GroupId") or "")
        before = group and (list(group.ingress_rules), list(group.egress_rules))
        try:
            return method(self)
        except ServiceException:
            if group:
                group.ingress_rules, group.egress_rules = before
            raise

    whole.__name__ = action
    return whole


def modify_instance_attribute(self: Any) -> ActionResult:
    """ModifyInstanceAttribute, with the shutdown behaviour, for which moto removes the security groups."""
    behavior = self._get_param("InstanceInitiatedShutdownBehavior.Value")
    if behavior is None:
        answer: ActionResult = _moto_modify_instance_attribute(self)
        return answer
    self.ec2_backend.modify_instance_attribute(
        self._get_param("InstanceId"), "instance_initiated_shutdown_behavior", behavior
    )
    return EmptyResult()


def create_image(self: Any) -> ActionResult:
    """CreateImage, with NoReboot and the tags of snapshots."""
    image = self.ec2_backend.create_image(
        self._get_param("InstanceId"),
        self._get_param("Name"),
        self._get_param("Description", ""),
        tag_specifications=self._get_param("TagSpecifications", []),
        no_reboot=self._get_bool_param("NoReboot", False),
    )
    return ActionResult({"ImageId": image.id})


def modify_image_attribute(self: Any) -> ActionResult:
    """ModifyImageAttribute, with the description, ImdsSupport, and every account, group and organization."""
    attribute, image_id = self._get_param("Attribute"), self._get_param("ImageId")
    image = self.ec2_backend.registered_image(image_id)
    description = self._get_param("Description.Value") or (attribute == "description" and self._get_param("Value"))
    if description:
        image.description = description
    value = self._get_param("Value") if attribute == "imdsSupport" else self._get_param("ImdsSupport.Value")
    if value not in (None, IMDS_V2):
        raise InvalidParameterValue(f"Value ({value}) for parameter imdsSupport is invalid: it is {IMDS_V2}.")
    image.imds_support = value or image.imds_support
    listed = [
        {kind: each}
        for kind, parameter in (
            ("UserId", "UserIds"),
            ("Group", "UserGroups"),
            ("OrganizationArn", "OrganizationArns"),
            ("OrganizationalUnitArn", "OrganizationalUnitArns"),
        )
        for each in self._get_param(parameter, [])
    ]
    permission = self._get_param("LaunchPermission", {})
    operation = self._get_param("OperationType")
    self.ec2_backend.modify_image_attribute(
        image_id,
        permission.get("Add", []) + (listed if operation == "add" else []),
        permission.get("Remove", []) + (listed if operation == "remove" else []),
    )
    return EmptyResult()


def reset_image_attribute(self: Any) -> ActionResult:
    """ResetImageAttribute: the launch permissions end."""
    self.ec2_backend.registered_image(self._get_param("ImageId")).launch_permissions.clear()
    return ActionResult({"Return": True})


def get_image_block_public_access_state(self: Any) -> ActionResult:
    """GetImageBlockPublicAccessState."""
    return ActionResult({"ImageBlockPublicAccessState": self.ec2_backend.image_block_public_access})


def enable_image_block_public_access(self: Any) -> ActionResult:
    """EnableImageBlockPublicAccess."""
    self.ec2_backend.image_block_public_access = self._get_param("ImageBlockPublicAccessState")
    return get_image_block_public_access_state(self)


def disable_image_block_public_access(self: Any) -> ActionResult:
    """DisableImageBlockPublicAccess."""
    self.ec2_backend.image_block_public_access = "unblocked"
    return get_image_block_public_access_state(self)


def get_console_output(self: Any) -> ActionResult:
    """GetConsoleOutput: the machine's own journal."""
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    output = base64.b64encode(instance.console().encode()).decode()
    return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})


def parse_block_device_mapping(self: Any) -> list[dict[str, Any]]:
    """BlockDeviceMappings of RunInstances as they are: the image's come first, which moto leaves out."""
    return list(self._get_param("BlockDeviceMappings", []))


def copy_image(self: Any) -> ActionResult:
    """CopyImage, with the tags of the request and, if requested, of the source."""
    source_id, source_region = self._get_param("SourceImageId"), self._get_param("SourceRegion")
    if source_region not in ec2_backends[self.current_account].regions:
        raise EC2ClientError("InvalidRegion", f"The region '{source_region}' is not valid.")
    source = self.ec2_backend.cloud.backend("ec2", self.current_account, source_region).launchable_image(source_id)
    image = self.ec2_backend.copy_image(
        source_id,
        source_region,
        self._get_param("Name"),
        self._get_param("Description"),
        encrypted=self._get_bool_param("Encrypted", False),
        kms_key_id=self._get_param("KmsKeyId"),
    )
    if self._get_bool_param("CopyImageTags", False):
        image.add_tags({tag["key"]: tag["value"] for tag in source.get_tags()})
    return _tagged(self, image)


def register_image(self: Any) -> ActionResult:
    """RegisterImage, of the snapshot of a root volume."""
    return _tagged(self, self.ec2_backend.register_snapshot(self._get_param("Name"), self.params))


def _tagged(self: Any, image: Any) -> ActionResult:
    requested = self._parse_tag_specification()
    image.add_tags(requested.get("image", {}))
    image.ebs_snapshot.add_tags(requested.get("snapshot", {}))
    return ActionResult({"ImageId": image.id})


def deregister_image(self: Any) -> ActionResult:
    """DeregisterImage, with DeleteAssociatedSnapshots."""
    image = self.ec2_backend.registered_image(self._get_param("ImageId"))
    if image.deregistration_protection != "disabled":
        raise OperationNotPermitted(f"Deregistration protection is enabled for image {image.id}.")
    self.ec2_backend.deregister_image(image.id)
    results = []
    if self._get_bool_param("DeleteAssociatedSnapshots", False):
        self.ec2_backend.delete_snapshot(image.ebs_snapshot.id)
        results.append({"SnapshotId": image.ebs_snapshot.id, "ReturnCode": "success"})
    return ActionResult({"Return": True, "DeleteSnapshotResults": results})


def enable_image_deregistration_protection(self: Any) -> ActionResult:
    """EnableImageDeregistrationProtection."""
    cooldown = "with" if self._get_bool_param("WithCooldown", False) else "without"
    image = self.ec2_backend.registered_image(self._get_param("ImageId"))
    image.deregistration_protection = f"enabled-{cooldown}-cooldown"
    return ActionResult({"Return": "true"})


def disable_image_deregistration_protection(self: Any) -> ActionResult:
    """DisableImageDeregistrationProtection; there is no cooldown."""
    self.ec2_backend.registered_image(self._get_param("ImageId")).deregistration_protection = "disabled"
    return ActionResult({"Return": "true"})


def enable_image_deprecation(self: Any) -> ActionResult:
    """EnableImageDeprecation."""
    when = self._get_param("DeprecateAt")
    self.ec2_backend.enable_image_deprecation(
        self._get_param("ImageId"), when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    )
    return ActionResult({"Return": True})


def disable_image_deprecation(self: Any) -> ActionResult:
    """DisableImageDeprecation."""
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
    image_id = self._get_param("ImageId")
    value = self.ec2_backend.registered_image(image_id).imds_support
    if self._get_param("Attribute") != "imdsSupport":
        return _moto_describe_image_attribute(self)
    return ActionResult({"ImageId": image_id, "ImdsSupport": {"Value": value} if value else {}})


def modify_instance_metadata_options(self: Any) -> ActionResult:
    """ModifyInstanceMetadataOptions: what the request does not name stays, where moto takes the defaults."""
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


def create_launch_template(self: Any) -> ActionResult:
    """CreateLaunchTemplate; a parameter that its image is has to exist."""
    self.ec2_backend.resolved_image(self._get_param("LaunchTemplateData.ImageId") or "")
    answer: ActionResult = _moto_create_launch_template(self)
    return answer


def create_launch_template_version(self: Any) -> ActionResult:
    """CreateLaunchTemplateVersion, made from the version that the request names."""
    source, data = self._get_param("SourceVersion"), self._get_param("LaunchTemplateData", {})
    self.ec2_backend.resolved_image(data.get("ImageId") or "")
    if source:
        template = self.ec2_backend.named_template(
            self._get_param("LaunchTemplateId"), self._get_param("LaunchTemplateName")
        )
        self.params["LaunchTemplateData"] = derived(template.get_version(source), data)
    answer: Any = _moto_create_launch_template_version(self).result
    return ActionResult({"LaunchTemplateVersion": _with_alias_resolved(self, answer["LaunchTemplateVersion"])})


def resolved_launch_template_versions(self: Any) -> ActionResult:
    """DescribeLaunchTemplateVersions, with ResolveAlias."""
    answer: Any = _moto_describe_versions(self).result
    versions = [_with_alias_resolved(self, version) for version in answer["LaunchTemplateVersions"]]
    return ActionResult({**answer, "LaunchTemplateVersions": versions})


def _with_alias_resolved(self: Any, version: dict[str, Any]) -> dict[str, Any]:
    data = version["LaunchTemplateData"]
    if not self._get_bool_param("ResolveAlias", False) or "ImageId" not in data:
        return version
    return {
        **version,
        "LaunchTemplateData": {**data, "ImageId": self.ec2_backend.resolved_image(data["ImageId"])},
    }


def delete_launch_template_versions(self: Any) -> ActionResult:
    """DeleteLaunchTemplateVersions: reports the failed beside the deleted versions."""
    template = self.ec2_backend.named_template(
        self._get_param("LaunchTemplateId"), self._get_param("LaunchTemplateName")
    )
    deleted, kept = self.ec2_backend.delete_launch_template_versions(template, self._get_param("Versions", []))
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


authorize_security_group_egress = _all_or_none(
    "authorize_security_group_egress", EC2Response.authorize_security_group_egress
)
authorize_security_group_ingress = _all_or_none(
    "authorize_security_group_ingress", EC2Response.authorize_security_group_ingress
)
describe_images = paged("describe_images", seen_images, "Images", 1, 1000)
describe_instance_status = paged(
    "describe_instance_status", EC2Response.describe_instance_status, "InstanceStatuses", 5, 1000
)
describe_instances = paged("describe_instances", EC2Response.describe_instances, "Reservations", 5, 1000)
describe_launch_templates = paged(
    "describe_launch_templates", EC2Response.describe_launch_templates, "LaunchTemplates", 1, 200
)
describe_launch_template_versions = paged(
    "describe_launch_template_versions", resolved_launch_template_versions, "LaunchTemplateVersions", 1, 200
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
    authorize_security_group_egress,
    authorize_security_group_ingress,
    create_image,
    copy_image,
    create_launch_template,
    create_launch_template_version,
    deregister_image,
    delete_launch_template_versions,
    describe_image_attribute,
    describe_images,
    describe_instance_status,
    describe_instances,
    describe_launch_template_versions,
    describe_launch_templates,
    describe_network_interfaces,
    describe_security_groups,
    describe_snapshots,
    describe_volumes,
    disable_image_block_public_access,
    disable_image_deprecation,
    disable_image_deregistration_protection,
    enable_image_block_public_access,
    enable_image_deprecation,
    enable_image_deregistration_protection,
    get_console_output,
    get_image_block_public_access_state,
    modify_image_attribute,
    modify_instance_attribute,
    modify_instance_metadata_options,
    register_image,
    reset_image_attribute,
    run_instances,
)
