"""The whole estate of an account and region, read in pages: what the upkeep of images and fleets decides on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rebake import tags
from rebake.aws_errors import retry_transient
from rebake.estate.inventory import (
    DEFAULT,
    GONE,
    LATEST,
    Estate,
    Fleet,
    Instance,
    Template,
    TemplateUse,
    TemplateVersion,
)
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.ec2 import Ec2ClientHook
from rebake.hooks.image import ImageHook
from rebake.hooks.limits import FILTER_VALUES, TEMPLATE_VERSIONS, batches
from rebake.hooks.registry import RegistryHook
from rebake.rollout.refresh import leaves_the_group

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_INSTANCES_PAGE = 250
"""A quarter of what EC2 allows: a thousand instances, each described at length, take 40 MiB to read."""


class EstateHook(Ec2ClientHook):
    """Thick wrapper around `boto3.client("ec2")`: reads, and changes nothing.

    The number of calls grows with the pages of AWS's answers and with the groups, never with the images or instances.

    Args:
        images: a hook whose EC2 client is shared, if there is one: each client takes 30 MiB.
    """

    def __init__(self, *args: Any, images: ImageHook | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._given_images = images

    @cached_property
    def _images(self) -> ImageHook:
        return self._given_images or ImageHook(**self.connection)

    @property
    def ec2(self) -> EC2Client:
        """The typed client."""
        return self._images.ec2

    # A client takes as long to make as some hundred calls, so each is made once.

    @cached_property
    def _autoscaling(self) -> AutoScalingHook:
        return AutoScalingHook(**self.connection)

    @cached_property
    def _registry(self) -> RegistryHook:
        return RegistryHook(**self.connection)

    def read(self) -> Estate:
        """Return all there is.

        EC2: DescribeImages, DescribeInstances, DescribeLaunchTemplates, DescribeLaunchTemplateVersions; Auto Scaling:
        DescribeAutoScalingGroups, DescribeInstanceRefreshes; Systems Manager: GetParametersByPath.

        What uses images is read after the images: so an image that somebody starts to use meanwhile counts as used.
        """
        images = self._images.own()
        groups = self._autoscaling.groups()
        return Estate(
            images=tuple(images),
            channels=tuple(self._registry.everything()),
            fleets=tuple(
                _fleet(group, self._autoscaling.active_refresh(group["AutoScalingGroupName"])) for group in groups
            ),
            templates=tuple(self.templates()),
            instances=self.instances(_members(groups)),
        )

    def rescan(self, estate: Estate, ami_ids: Collection[str], names: Collection[str]) -> Estate:
        """Return a few images and what may use them as they are now.

        Read anew are these images and their instances, all groups, and all templates' newest and default versions;
        refreshes and channels as far as they are those of the images' services. Versions never change.

        Args:
            estate: what `read` returned.
            ami_ids: the images, at least one.
            names: whose channels and refreshes, such as `/rebake/webapp`.
        """
        images = self._images.own(ami_ids)
        fleets, members = self._fleets_again(estate, {name.rsplit("/", 1)[-1] for name in names})
        return Estate(
            images=tuple(images),
            channels=tuple(self._registry.at_names(names)),
            fleets=fleets,
            templates=tuple(self._templates_again(estate)),
            instances=self.instances(members, ami_ids=ami_ids),
        )

    def rescan_templates(self, estate: Estate, services: Collection[str]) -> Estate:
        """Return the estate with all that may use launch templates of these services read again."""
        fleets, members = self._fleets_again(estate, services)
        return replace(
            estate,
            fleets=fleets,
            templates=tuple(self._templates_again(estate)),
            instances=self.instances(members),
        )

    def _fleets_again(self, estate: Estate, services: Collection[str]) -> tuple[tuple[Fleet, ...], dict[str, Any]]:
        before = {fleet.group_name: fleet for fleet in estate.fleets}
        groups = self._autoscaling.groups()
        fleets = []
        for group in groups:
            fleet = _fleet(group, None)
            if fleet.service in services or fleet.group_name not in before:
                fleet = _fleet(group, self._autoscaling.active_refresh(fleet.group_name))
            else:
                fleet = replace(fleet, refreshes_active=before[fleet.group_name].refreshes_active)
            fleets.append(fleet)
        return tuple(fleets), _members(groups)

    def _templates_again(self, estate: Estate) -> Iterator[Template]:
        newest = self._versions(Versions=[LATEST, DEFAULT]) if estate.templates else {}
        for template in estate.templates:
            known = {one.number: replace(one, is_default=False) for one in template.versions}
            versions = known | newest.pop(template.id, {})
            yield replace(template, versions=tuple(versions[number] for number in sorted(versions, reverse=True)))
        for template_id, versions in newest.items():
            yield Template(template_id, template_id, {}, tuple(versions.values()))

    @retry_transient
    def instances(
        self, members: Mapping[str, Mapping[str, Any]] | None = None, *, ami_ids: Collection[str] = ()
    ) -> tuple[Instance, ...]:
        """Return all instances that are not terminated, whoever launched them (EC2, DescribeInstances).

        Args:
            members: Auto Scaling's descriptions of the instances of groups, by their ids.
            ami_ids: only instances of these images; all of them if left out.
        """
        groups = members or {}
        paginator = self.ec2.get_paginator("describe_instances")
        return tuple(
            _instance(dict(one), groups.get(one["InstanceId"], {}))
            for batch in (batches(list(ami_ids), FILTER_VALUES) if ami_ids else [[]])
            for page in paginator.paginate(
                Filters=[{"Name": "image-id", "Values": batch}] if batch else [],
                PaginationConfig={"PageSize": _INSTANCES_PAGE},
            )
            for reservation in page["Reservations"]
            for one in reservation["Instances"]
            if one["State"]["Name"] != GONE
        )

    @retry_transient
    def _described_templates(self) -> list[dict[str, Any]]:
        pages = self.ec2.get_paginator("describe_launch_templates").paginate(
            PaginationConfig={"PageSize": TEMPLATE_VERSIONS}
        )
        return [dict(one) for page in pages for one in page["LaunchTemplates"]]

    def templates(self) -> Iterator[Template]:
        """Yield all launch templates, ours with every version (EC2, DescribeLaunchTemplates and …TemplateVersions)."""
        found = self._described_templates()
        newest = self._versions(Versions=[LATEST, DEFAULT]) if found else {}
        for one in found:
            template_id, labels = one["LaunchTemplateId"], tags.read(one)
            versions = newest.get(template_id, {})
            if tags.KIND in labels:
                versions = versions | self._versions(LaunchTemplateId=template_id).get(template_id, {})
            ordered = tuple(versions[number] for number in sorted(versions, reverse=True))
            yield Template(template_id, one["LaunchTemplateName"], labels, ordered)

    @retry_transient
    def _versions(self, **which: Any) -> dict[str, dict[int, TemplateVersion]]:
        """Return versions by template and number; AWS lists one that is both newest and default twice."""
        pages = self.ec2.get_paginator("describe_launch_template_versions").paginate(
            PaginationConfig={"PageSize": TEMPLATE_VERSIONS}, **which
        )
        found: dict[str, dict[int, TemplateVersion]] = {}
        for page in pages:
            for one in page["LaunchTemplateVersions"]:
                found.setdefault(one["LaunchTemplateId"], {})[one["VersionNumber"]] = TemplateVersion(
                    number=one["VersionNumber"],
                    ami_id=one["LaunchTemplateData"].get("ImageId", ""),
                    is_default=one["DefaultVersion"],
                    created=one["CreateTime"],
                )
        return found


def _members(groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {one["InstanceId"]: one for group in groups for one in group.get("Instances", [])}


def _instance(one: dict[str, Any], member: Mapping[str, Any]) -> Instance:
    labels = tags.read(one)
    template = member.get("LaunchTemplate", {})
    return Instance(
        id=one["InstanceId"],
        ami_id=one["ImageId"],
        state=one["State"]["Name"],
        launched=one["LaunchTime"],
        tags=labels,
        group_name=labels.get("aws:autoscaling:groupName"),
        lifecycle=member.get("LifecycleState", ""),
        launch_template_id=template.get("LaunchTemplateId", labels.get("aws:ec2launchtemplate:id", "")),
        launch_template_version=template.get("Version", labels.get("aws:ec2launchtemplate:version", "")),
        key_name=one.get("KeyName", ""),
        public_ip=one.get("PublicIpAddress", ""),
        http_tokens=one.get("MetadataOptions", {}).get("HttpTokens", "optional"),
        security_group_ids=tuple(group["GroupId"] for group in one.get("SecurityGroups", [])),
    )


def _fleet(group: dict[str, Any], refresh: Mapping[str, Any] | None) -> Fleet:
    labels = tags.read(group)
    mixed = _mixed(group.get("MixedInstancesPolicy", {}))
    own = group.get("LaunchTemplate") or mixed[0] or {}
    # The group names the template that a rollback would return to until the refresh is over.
    goal = refresh.get("DesiredConfiguration", {}) if refresh else {}
    return Fleet(
        group_name=group["AutoScalingGroupName"],
        service=labels.get(tags.SERVICE, "") if labels.get(tags.KIND) == tags.KIND_FLEET else "",
        template_id=own.get("LaunchTemplateId", ""),
        launch_template_version=own.get("Version", ""),
        tags=labels,
        desired=group["DesiredCapacity"],
        instance_ids=tuple(one["InstanceId"] for one in group.get("Instances", []) if not leaves_the_group(one)),
        other_templates=_uses(mixed[1:]),
        refreshes_active=_uses([goal.get("LaunchTemplate"), *_mixed(goal.get("MixedInstancesPolicy", {}))]),
    )


def _mixed(policy: Mapping[str, Any]) -> list[Mapping[str, Any] | None]:
    """Return the LaunchTemplateSpecifications of a mixed instances policy."""
    template = policy.get("LaunchTemplate", {})
    overrides = [override.get("LaunchTemplateSpecification") for override in template.get("Overrides", [])]
    return [template.get("LaunchTemplateSpecification"), *overrides]


def _uses(specifications: Iterable[Mapping[str, Any] | None]) -> tuple[TemplateUse, ...]:
    return tuple(
        TemplateUse(one["LaunchTemplateId"], one.get("Version", ""))
        for one in specifications
        if one and one.get("LaunchTemplateId")
    )
