"""EC2 actions that moto lacks, and parameters that it ignores."""

import base64
import sys
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores, utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue, OperationNotPermitted
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response

from localcloud.adoption import answer_with
from localcloud.ec2.pages import PAGES, paged
from localcloud.ec2.templates import derived

IMDS_V2 = "v2.0"
LONGEST_DEPRECATION = timedelta(days=3653)
"""Ten years: how far ahead a deprecation may lie."""
SHARED_WITH = {"UserId": "UserIds", "Group": "UserGroups"} | {
    kind: f"{kind}s" for kind in ("OrganizationArn", "OrganizationalUnitArn")
}
"""Whom an image is shared with, and the parameter that lists several."""

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
    answer = _moto_run_instances(self)
    reservation: Any = answer.result
    for instance in reservation.instances:
        instance.disable_api_termination = bool(request.get("DisableApiTermination"))
    for instance in reservation.instances[1:] if profile else ():  # moto gives it to the first
        self.ec2_backend.associate_iam_instance_profile(instance.id, profile.get("Name"), profile.get("Arn"))
    return answer


def _all_or_none(method: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
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

    return whole


def modify_instance_attribute(self: Any) -> ActionResult:
    """ModifyInstanceAttribute, with the shutdown behaviour, for which moto removes the security groups."""
    behavior = self._get_param("InstanceInitiatedShutdownBehavior.Value")
    if behavior is None:
        return _moto_modify_instance_attribute(self)
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
    """ModifyImageAttribute, with the description, ImdsSupport (v2.0, for ever), and all whom it is shared with."""
    attribute, image = self._get_param("Attribute"), _image(self)
    description = self._get_param("Description.Value") or (attribute == "description" and self._get_param("Value"))
    if description:
        image.description = description
    value = self._get_param("Value") if attribute == "imdsSupport" else self._get_param("ImdsSupport.Value")
    if value not in (None, IMDS_V2):
        raise InvalidParameterValue(f"Value ({value}) for parameter imdsSupport is invalid: it is {IMDS_V2}.")
    image.imds_support = value or image.imds_support
    listed = [{kind: each} for kind, parameter in SHARED_WITH.items() for each in self._get_param(parameter, [])]
    permission = self._get_param("LaunchPermission", {})
    operation = self._get_param("OperationType")
    self.ec2_backend.modify_image_attribute(
        image.id,
        permission.get("Add", []) + (listed if operation == "add" else []),
        permission.get("Remove", []) + (listed if operation == "remove" else []),
    )
    return EmptyResult()


def _image(self: Any) -> Any:
    return self.ec2_backend.registered_image(self._get_param("ImageId"))


def reset_image_attribute(self: Any) -> ActionResult:
    """ResetImageAttribute: the launch permissions end."""
    _image(self).launch_permissions.clear()
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


def _parse_block_device_mapping(self: Any) -> list[dict[str, Any]]:
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
    image = _image(self)
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
    _image(self).deregistration_protection = f"enabled-{cooldown}-cooldown"
    return ActionResult({"Return": "true"})


def disable_image_deregistration_protection(self: Any) -> ActionResult:
    """DisableImageDeregistrationProtection; there is no cooldown."""
    _image(self).deregistration_protection = "disabled"
    return ActionResult({"Return": "true"})


def enable_image_deprecation(self: Any) -> ActionResult:
    """EnableImageDeprecation, rounded to the minute."""
    image, when, now = _image(self), self._get_param("DeprecateAt"), utcnow()
    when = when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when  # as moto has its times
    if not now <= when <= now + LONGEST_DEPRECATION:
        raise InvalidParameterValue(
            f"Value ({when.isoformat()}Z) for parameter DeprecateAt is invalid: it must be in the future and within 10 "
            "years."
        )
    image.deprecated_at = (when + timedelta(seconds=30)).replace(second=0, microsecond=0)
    return ActionResult({"Return": True})


def disable_image_deprecation(self: Any) -> ActionResult:
    """DisableImageDeprecation."""
    _image(self).deprecated_at = None
    return ActionResult({"Return": True})


def describe_images(self: Any) -> ActionResult:
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
    image = _image(self)
    if self._get_param("Attribute") != "imdsSupport":
        return _moto_describe_image_attribute(self)
    return ActionResult(
        {"ImageId": image.id, "ImdsSupport": {"Value": image.imds_support} if image.imds_support else {}}
    )


def modify_instance_metadata_options(self: Any) -> ActionResult:
    """ModifyInstanceMetadataOptions: what the request does not name stays, where moto takes the defaults."""
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    requested = {camelcase_to_underscores(name): value for name, value in self.params.items()}
    options = vars(instance.metadata_options)
    options.update({name: requested[name] for name in options.keys() & requested.keys()})
    return ActionResult({"InstanceId": instance.id, "InstanceMetadataOptions": instance.metadata_options})


def _template(self: Any) -> Any:
    return self.ec2_backend.named_template(self._get_param("LaunchTemplateId"), self._get_param("LaunchTemplateName"))


def create_launch_template(self: Any) -> ActionResult:
    """CreateLaunchTemplate; a parameter that its image is has to exist."""
    self.ec2_backend.resolved_image(self._get_param("LaunchTemplateData.ImageId") or "")
    return _moto_create_launch_template(self)


def create_launch_template_version(self: Any) -> ActionResult:
    """CreateLaunchTemplateVersion, made from the version that the request names."""
    source, data = self._get_param("SourceVersion"), self._get_param("LaunchTemplateData", {})
    self.ec2_backend.resolved_image(data.get("ImageId") or "")
    if source:
        self.params["LaunchTemplateData"] = derived(_template(self).get_version(source), data)
    answer: Any = _moto_create_launch_template_version(self).result
    return ActionResult({"LaunchTemplateVersion": _with_alias_resolved(self, answer["LaunchTemplateVersion"])})


def describe_launch_template_versions(self: Any) -> ActionResult:
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
    template = _template(self)
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


def describe_snapshots(self: Any) -> ActionResult:
    """DescribeSnapshots, of the owners that the request names."""
    answer: Any = _moto_describe_snapshots(self).result
    owners = {self.current_account if owner == "self" else owner for owner in self._get_param("OwnerIds", [])}
    snapshots = [each for each in answer["Snapshots"] if not owners or each.owner_id in owners]
    return ActionResult({**answer, "Snapshots": snapshots})


authorize_security_group_egress = _all_or_none(EC2Response.authorize_security_group_egress)
authorize_security_group_ingress = _all_or_none(EC2Response.authorize_security_group_ingress)


def install() -> None:
    """Put the actions, and their pages, into moto's class."""
    answer_with(sys.modules[__name__], EC2Response, "ec2")
    for action, page in PAGES.items():
        name = camelcase_to_underscores(action)
        setattr(EC2Response, name, paged(getattr(EC2Response, name), *page))
