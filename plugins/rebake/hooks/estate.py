"""The whole estate of an account and region, read in pages: what the upkeep of images and fleets decides on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from rebake import tags
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
from rebake.hooks.image import PAGE, ImageHook
from rebake.hooks.registry import RegistryHook

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_VERSIONS_PAGE = 200
"""Launch templates and versions of them that EC2 tells of in one answer at most."""


class EstateHook(AwsBaseHook):
    """Thick wrapper around `boto3.client("ec2")`: reads, and changes nothing.

    The number of calls grows with the pages of AWS's answers and with the groups, never with the images or instances.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "ec2"
        super().__init__(*args, **kwargs)

    @property
    def ec2(self) -> EC2Client:
        """The typed client."""
        client: EC2Client = self.conn
        return client

    def read(self) -> Estate:
        """Return all there is.

        EC2: DescribeImages, DescribeInstances, DescribeLaunchTemplates, DescribeLaunchTemplateVersions; Auto Scaling:
        DescribeAutoScalingGroups, DescribeInstanceRefreshes; Systems Manager: GetParametersByPath.

        What uses images is read after the images, so that an image that begins to be used meanwhile is seen in use.
        """
        connection: dict[str, Any] = {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name}
        images = ImageHook(**connection).own()
        autoscaling = AutoScalingHook(**connection)
        groups = autoscaling.groups()
        members = {one["InstanceId"]: dict(one) for group in groups for one in group.get("Instances", [])}
        return Estate(
            images=tuple(images),
            channels=tuple(RegistryHook(**connection).everything()),
            fleets=tuple(_fleet(group, autoscaling.active_refresh(group["AutoScalingGroupName"])) for group in groups),
            templates=tuple(self.templates()),
            instances=tuple(self.instances(members)),
        )

    def instances(self, members: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[Instance]:
        """Yield all instances that are not terminated, whoever launched them (EC2, DescribeInstances).

        Args:
            members: what Auto Scaling tells of the instances of groups, by their ids.
        """
        pages = self.ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": PAGE})
        for page in pages:
            for reservation in page["Reservations"]:
                for one in reservation["Instances"]:
                    if one["State"]["Name"] != GONE:
                        yield _instance(dict(one), (members or {}).get(one["InstanceId"], {}))

    def templates(self) -> Iterator[Template]:
        """Yield all launch templates, ours with every version (EC2, DescribeLaunchTemplates and …TemplateVersions)."""
        pages = self.ec2.get_paginator("describe_launch_templates").paginate(
            PaginationConfig={"PageSize": _VERSIONS_PAGE}
        )
        found: list[dict[str, Any]] = [dict(one) for page in pages for one in page["LaunchTemplates"]]
        newest = self._versions(Versions=[LATEST, DEFAULT]) if found else {}
        for one in found:
            template_id, labels = one["LaunchTemplateId"], _tags(one)
            versions = newest.get(template_id, {})
            if tags.KIND in labels:
                versions = versions | self._versions(LaunchTemplateId=template_id).get(template_id, {})
            ordered = tuple(versions[number] for number in sorted(versions, reverse=True))
            yield Template(template_id, one["LaunchTemplateName"], labels, ordered)

    def _versions(self, **which: Any) -> dict[str, dict[int, TemplateVersion]]:
        """Return versions by template and number; one that is both newest and default is told twice."""
        pages = self.ec2.get_paginator("describe_launch_template_versions").paginate(
            PaginationConfig={"PageSize": _VERSIONS_PAGE}, **which
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


def _instance(one: dict[str, Any], member: Mapping[str, Any]) -> Instance:
    labels = _tags(one)
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
    labels = _tags(group)
    mixed = _mixed(group.get("MixedInstancesPolicy", {}))
    own = group.get("LaunchTemplate") or mixed[0] or {}
    # What a refresh would return to is what the group names until the refresh is over.
    goal = refresh.get("DesiredConfiguration", {}) if refresh else {}
    return Fleet(
        group_name=group["AutoScalingGroupName"],
        service=labels.get(tags.SERVICE, "") if labels.get(tags.KIND) == tags.KIND_FLEET else "",
        template_id=own.get("LaunchTemplateId", ""),
        template_version=own.get("Version", ""),
        tags=labels,
        desired=group["DesiredCapacity"],
        instance_ids=tuple(one["InstanceId"] for one in group.get("Instances", [])),
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


def _tags(resource: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}
