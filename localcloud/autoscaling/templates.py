"""Which launch template version instances come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.core.exceptions import ServiceException

from . import exceptions

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class TemplateRef:
    """A launch template and a version of it: a number, `$Latest` or `$Default`."""

    template_id: str
    name: str
    version: str

    def resolve(self, ec2: Any) -> Any:
        """Return moto's launch template version that this means now."""
        return ec2.get_launch_template(self.template_id).get_version(self.version)

    def describe(self) -> dict[str, str]:
        """Return it as the API writes it."""
        return {"LaunchTemplateId": self.template_id, "LaunchTemplateName": self.name, "Version": self.version}


def template_of_group(group: Any) -> TemplateRef | None:
    """Return the template saved on a group, or None when it has a launch configuration."""
    template = group.ec2_launch_template
    if template is None:
        return None
    return TemplateRef(template.id, template.name, str(group.launch_template_version))


def find_template(spec: Mapping[str, Any], ec2: Any) -> TemplateRef:
    """Return the template that a LaunchTemplateSpecification names, in a version that exists."""
    template_id, name = spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName")
    version = str(spec.get("Version") or "$Default")
    if bool(template_id) == bool(name):
        raise ValidationError("Valid requests must contain either launchTemplateId or LaunchTemplateName")
    if version not in {"$Default", "$Latest"} and (not version.isdecimal() or int(version) < 1):
        raise ValidationError(
            "Invalid launch template version: either '$Default', '$Latest', or a numeric version are allowed."
        )
    try:
        template = ec2.get_launch_template(template_id) if template_id else ec2.get_launch_template_by_name(name)
        reference = TemplateRef(template.id, template.name, version)
        reference.resolve(ec2)
    except ServiceException as error:
        raise exceptions.invalid_template(str(error.message)) from error
    return reference


def check_launchable(template: TemplateRef, ec2: Any) -> None:
    """Refuse a template without an image and a profile that exist; AWS tries a launch when a group gets one."""
    version = template.resolve(ec2)
    profile = version.data.get("IamInstanceProfile")
    if profile:
        try:
            ec2.require_profile(profile.get("Name"), profile.get("Arn"))
        except ServiceException as error:
            raise exceptions.invalid_template(str(error.message)) from error
    image = version.image_id
    if not image:
        raise exceptions.invalid_template("The request must contain the parameter ImageId")
    if str(image).startswith("resolve:ssm:"):
        return
    try:
        found = ec2.describe_images(ami_ids=[image])
    except ServiceException:
        found = []
    if not found:
        raise exceptions.invalid_template(f"The image id '[{image}]' does not exist")
