"""Launch templates where moto differs from AWS: Terraform would plan a change for each difference."""

from collections.abc import Sequence
from typing import Any

from moto.ec2.exceptions import InvalidLaunchTemplateVersionNotFound, InvalidParameterValue
from moto.ec2.models import EC2Backend
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.utils import parse_user_data

LARGEST_DELETION = 200
"""Versions that one DeleteLaunchTemplateVersions may name."""


class LocalTemplate(LaunchTemplate):
    """A launch template whose versions may be deleted; their numbers are never used again."""

    _highest = 0

    @property
    def tags(self) -> list[dict[str, str]]:
        """The tags as they are now; moto keeps those of the creation."""
        return self.get_tags()

    @tags.setter
    def tags(self, _: list[dict[str, str]]) -> None:
        pass

    def create_version(self, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
        """CreateLaunchTemplateVersion, with user data in the form that launching needs; empty user data is none."""
        user_data = data.get("UserData")
        if isinstance(user_data, str):
            data = {**data, "UserData": parse_user_data(user_data or None)}
        version = super().create_version(data, description)
        version.number = self._highest = self._highest + 1
        return version

    def get_version(self, num: Any) -> LaunchTemplateVersion:
        """Return a version by its number, `$Latest` or `$Default`."""
        named = str(num).lower()
        if named == "$latest":
            return self.latest_version()
        number = int(num) if named.isdecimal() else self.default_version_number if named == "$default" else 0
        found = next((version for version in reversed(self.versions) if version.number == number), None)
        if found is None:
            raise InvalidLaunchTemplateVersionNotFound(template_id=self.id, version=num)
        return found

    def default_version(self) -> LaunchTemplateVersion:
        """Return the default version, which cannot be deleted."""
        return self.get_version("$Default")


def derived(source: LaunchTemplateVersion, data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a version that is made from another: its own parameters, and for the rest the other's.

    Snapshots in block device mappings are not inherited.
    """
    inherited = dict(source.data)
    if "BlockDeviceMappings" in inherited:
        inherited["BlockDeviceMappings"] = [
            {**mapping, "Ebs": {key: value for key, value in mapping["Ebs"].items() if key != "SnapshotId"}}
            if "Ebs" in mapping
            else mapping
            for mapping in inherited["BlockDeviceMappings"]
        ]
    return {**inherited, **data}


class TemplateRules(EC2Backend):
    """A part of the EC2 backend: what it does with launch templates."""

    def named_template(self, template_id: str | None, name: str | None) -> LaunchTemplate:
        """Return the template of that id or name."""
        return self.get_launch_template(template_id) if template_id else self.get_launch_template_by_name(name or "")

    def template_version(self, reference: dict[str, str]) -> LaunchTemplateVersion:
        """Return the version that a LaunchTemplateSpecification names, the default one if it names none."""
        template = self.named_template(reference.get("LaunchTemplateId"), reference.get("LaunchTemplateName"))
        return template.get_version(reference.get("Version") or "$Default")

    def create_launch_template(
        self, name: str, description: str, template_data: dict[str, Any], tag_spec: dict[str, Any]
    ) -> LaunchTemplate:
        """Create a template; the request's own tags are the template's, and none that its instances get."""
        specifications = template_data.get("TagSpecifications") or []
        template_data["TagSpecifications"] = [
            specification for specification in specifications if specification["ResourceType"] != "launch-template"
        ]
        return super().create_launch_template(name, description, template_data, tag_spec)

    def describe_launch_template_versions(
        self,
        template_name: str,
        template_id: str,
        versions: list[str],
        min_version: int,
        max_version: int,
        max_results: int,
    ) -> list[tuple[LaunchTemplate, LaunchTemplateVersion]]:
        """Return versions of one template, or `$Latest` and `$Default` of all, as moto does; a range is by number."""
        every = super().describe_launch_template_versions(template_name, template_id, versions, 0, 0, max_results)
        if versions:
            return every
        return [
            (template, version)
            for template, version in every
            if (min_version or 1) <= version.number <= (max_version or version.number)
        ]

    def delete_launch_template_versions(
        self, template: LaunchTemplate, numbers: Sequence[str]
    ) -> tuple[list[int], list[tuple[int, str, str]]]:
        """Delete versions, each for itself; return the numbers gone, and those that stay with a code and message."""
        if len(numbers) > LARGEST_DELETION:
            raise InvalidParameterValue(f"{len(numbers)} versions are named, and at most {LARGEST_DELETION} may be.")
        deleted: list[int] = []
        kept: list[tuple[int, str, str]] = []
        for number in map(int, numbers):
            if number == template.default_version_number:
                kept.append((number, "unexpectedError", f"Version {number} is the default version: it stays."))
            elif number not in {version.number for version in template.versions}:
                kept.append((number, "launchTemplateVersionDoesNotExist", f"Version {number} does not exist."))
            else:
                template.versions = [version for version in template.versions if version.number != number]
                deleted.append(number)
        return deleted, kept
