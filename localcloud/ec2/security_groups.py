"""Security groups where moto allows what AWS refuses."""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError, InvalidSecurityGroupNotFoundError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule


class GroupRules(EC2Backend):
    """A part of the EC2 backend."""

    def known_group(self, group_id: str) -> SecurityGroup:
        """Return the group of that id."""
        found = next((groups[group_id] for groups in self.groups.values() if group_id in groups), None)
        if found is None:
            raise InvalidSecurityGroupNotFoundError(group_id)
        return found

    def create_security_group(self, name: str, *rest: Any, **kwargs: Any) -> SecurityGroup:
        """Create a group; none but AWS's may be the default one, which admits its own members."""
        if name == "default" and not kwargs.get("is_default"):
            raise EC2ClientError("InvalidGroup.Reserved", "The security group 'default' is reserved")
        created: SecurityGroup = super().create_security_group(name, *rest, **kwargs)
        if created.is_default:  # moto leaves the rule out
            itself = {"GroupId": created.id, "OwnerId": self.account_id}
            created.add_ingress_rule(
                SecurityGroupRule(self, "-1", created.id, None, None, None, itself, is_egress=False)
            )
        return created

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        """Delete the group."""
        group = self.get_security_group_by_name_or_id(group_id or name or "")
        if group is not None and group.is_default:
            raise EC2ClientError(
                "CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            )
        if group is not None and (
            any(group in interface.group_set for interface in self.enis.values())
            or any(
                self._names(other, group.id) for other in self.groups[str(group.vpc_id)].values() if other is not group
            )
        ):
            raise DependencyViolationError(f"resource {group.id} has a dependent object")
        super().delete_security_group(name=name, group_id=group_id)

    @staticmethod
    def _names(group: SecurityGroup, group_id: str) -> bool:
        rules = (*group.ingress_rules, *group.egress_rules)
        return any((rule.source_group or {}).get("GroupId") == group_id for rule in rules)

    def modify_instance_security_groups(self, instance_id: str, new_group_id_list: list[str]) -> Instance:
        """Put the instance into other groups: its primary interface, which moto leaves in the old ones as well."""
        instance: Instance = self.get_instance(instance_id)
        instance.security_groups = [self.known_group(group_id) for group_id in new_group_id_list]
        return instance
