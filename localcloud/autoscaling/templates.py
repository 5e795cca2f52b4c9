"""Which launch template version instances come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException

from .exceptions import InvalidTemplateError, NotEmulatedError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class TemplateRef:
    """A launch template and a version of it: a number, `$Latest` or `$Default`."""

    template_id: str
    name: str
    version: str

    @property
    def is_pinned(self) -> bool:
        """Whether the version is a number, as rolling back requires."""
        return self.version.isdecimal()

    def resolve(self, ec2: Any) -> Any:
        """Return moto's launch template version that this means now."""
        return ec2.get_launch_template(self.template_id).get_version(self.version)

    def describe(self) -> dict[str, str]:
        """Return it as the API writes it."""
        return {"LaunchTemplateId": self.template_id, "LaunchTemplateName": self.name, "Version": self.version}

    def same_as(self, other: Mapping[str, Any] | None, ec2: Any) -> bool:
        """Return whether an instance's template is this one, `$Latest` and `$Default` looked up now."""
        if not other:
            return False
        number = str(self.resolve(ec2).number)
        return (self.template_id, number) == (other["LaunchTemplateId"], str(other["Version"]))


def template_of_group(group: Any) -> TemplateRef | None:
    """Return the template saved on a group, or None when it has a launch configuration."""
    template = group.ec2_launch_template
    if template is None:
        return None
    return TemplateRef(template.id, template.name, str(group.launch_template_version))


def template_of_desired(desired: Mapping[str, Any], ec2: Any) -> TemplateRef:
    """Return the template that a DesiredConfiguration names.

    Raises:
        ValidationError: It names none or two, or one that does not exist.
    """
    policy = desired.get("MixedInstancesPolicy")
    if policy:
        raise NotEmulatedError("DesiredConfiguration.MixedInstancesPolicy")
    spec = desired.get("LaunchTemplate") or {}
    template_id, name = spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName")
    if bool(template_id) == bool(name):
        raise ValidationError("Valid requests must contain either launchTemplateId or LaunchTemplateName")
    try:
        template = ec2.get_launch_template(template_id) if template_id else ec2.get_launch_template_by_name(name)
        reference = TemplateRef(template.id, template.name, str(spec.get("Version") or "$Default"))
        if int(reference.version if reference.is_pinned else 1) < 1:
            raise InvalidTemplateError(f"There is no version {reference.version} of it.")
        reference.resolve(ec2)
    except ServiceException as error:
        if isinstance(error, InvalidTemplateError):
            raise
        raise InvalidTemplateError(str(error.message)) from error
    except ValueError as error:
        raise InvalidTemplateError(f"{spec.get('Version')!r} is not a version number, $Latest or $Default.") from error
    return reference
