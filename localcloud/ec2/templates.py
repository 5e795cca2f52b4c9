"""Launch templates as AWS keeps them, where moto differs: Terraform takes each difference for a change to make."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.utils import parse_user_data

_moto_create_version = LaunchTemplate.create_version


class TemplateRules:
    """A part of the EC2 backend: CreateLaunchTemplate."""

    def create_launch_template(
        self, name: str, description: str, template_data: dict[str, Any], tag_spec: dict[str, Any]
    ) -> LaunchTemplate:
        """Create a template; the request's own tags are the template's, and none that its instances get."""
        specifications = template_data.get("TagSpecifications") or []
        template_data["TagSpecifications"] = [
            specification for specification in specifications if specification["ResourceType"] != "launch-template"
        ]
        return super().create_launch_template(name, description, template_data, tag_spec)  # type: ignore[misc] # moto's backend comes after


def create_version(self: LaunchTemplate, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
    """CreateLaunchTemplateVersion, with user data in the form that launching needs; empty user data is none."""
    said = data.get("UserData")
    if isinstance(said, str):
        data = {**data, "UserData": parse_user_data(said or None)}
    return _moto_create_version(self, data, description)
