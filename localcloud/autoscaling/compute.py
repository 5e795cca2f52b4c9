"""The reconciler's view of EC2 and of Elastic Load Balancing; tests replace its methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.ec2.utils import convert_tag_spec

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

    from .group import ManagedGroup
    from .templates import TemplateRef

GROUP_TAG = "aws:autoscaling:groupName"
GONE = "terminated"


class Compute:
    """Launches, terminates and observes instances of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def launch(self, group: ManagedGroup, template: TemplateRef | None) -> Any:
        """Run one instance with all that the launch template sets, in the subnet or zone with the fewest."""
        ec2 = group.ec2_backend
        version = template.resolve(ec2) if template else None
        data: dict[str, Any] = version.data if version else {}
        interfaces = data.get("NetworkInterfaces") or []
        security_groups = list(data.get("SecurityGroupIds") or [])
        public = None
        for interface in interfaces:
            security_groups += interface.get("Groups") or []
            public = interface.get("AssociatePublicIpAddress", public)
        specified = convert_tag_spec(data.get("TagSpecifications") or [])
        tags = {**group.get_propagated_tags(), **specified.get("instance", {}), GROUP_TAG: group.name}
        source = version or group.launch_config
        options: dict[str, Any] = {
            "instance_type": group.instance_type_by(source),
            "is_instance_type_default": False,
            "region_name": group.region,
            "key_name": data.get("KeyName") if version else group.launch_config.key_name,
            "security_group_ids": security_groups,
            "associate_public_ip": public if version else group.launch_config.associate_public_ip_address,
            "metadata_options": data.get("MetadataOptions") or {},
            "tags": {"instance": tags, "volume": specified.get("volume", {})},
        }
        named = data.get("IamInstanceProfile") if version else _profile(group.launch_config.iam_instance_profile)
        profile = {f"iam_instance_profile_{kind.lower()}": value for kind, value in (named or {}).items() if value}
        options |= profile
        options |= _emptiest_subnet_or_zone(group)
        if template and version:
            options["launch_template"] = {"LaunchTemplateId": template.template_id, "Version": str(version.number)}
        else:
            options["launch_config"] = group.launch_config
        reservation = ec2.run_instances(
            source.image_id, 1, source.user_data, list(source.security_groups or []), **options
        )
        instance = reservation.instances[0]
        if profile:
            ec2.associate_iam_instance_profile(instance_id=instance.id, **profile)
        return instance

    def terminate(self, instance_id: str) -> None:
        """Terminate, unless it is gone already; termination protection does not keep a group from it."""
        instance = self._cloud.instance(instance_id)
        if instance is not None:
            instance.terminate()

    def state(self, instance_id: str) -> str:
        """Return EC2's state; an instance that is no longer known is terminated."""
        instance = self._cloud.instance(instance_id)
        return str(instance.state) if instance else GONE


class Traffic:
    """Registers instances with target groups of a cloud and observes their health there."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def register(self, target_group: str, instance_id: str) -> bool:
        """Register with the target group's own port; False when that is not possible now."""
        try:
            self._backend(target_group).register_targets(target_group, [{"Id": instance_id}])
        except ServiceException:
            return False  # the group is gone, or the instance is not running any more: the next round finds out
        return True

    def deregister(self, target_group: str, instance_id: str) -> None:
        """Deregister, if it is registered."""
        backend = self._backend(target_group)
        if target_group in backend.target_groups:
            backend.deregister_targets(target_group, [{"Id": instance_id}])

    def state(self, target_group: str, instance_id: str) -> str:
        """Return the state, `unused` where there is no such target group."""
        backend = self._backend(target_group)
        if target_group not in backend.target_groups:
            return "unused"
        return str(backend.describe_target_health(target_group, [{"Id": instance_id}])[0].status)

    def _backend(self, target_group: str) -> Any:
        _, _, _, region, account_id, _ = target_group.split(":", 5)
        return self._cloud.backend("elbv2", account_id, region)


def _profile(named: str | None) -> dict[str, str]:
    """Return the profile of a launch configuration, which has it by name or ARN, as a launch template would."""
    return {} if not named else {"Arn": named} if named.startswith("arn:") else {"Name": named}


def _emptiest_subnet_or_zone(group: ManagedGroup) -> dict[str, str]:
    if not group.vpc_zone_identifier:
        zones = [each.availability_zone for each in group.alive]
        return {"placement": min(group.availability_zones, key=zones.count)}
    subnets = group.vpc_zone_identifier.split(",")
    used = [getattr(each.instance, "subnet_id", None) for each in group.alive]
    return {"subnet_id": min(subnets, key=used.count)}
