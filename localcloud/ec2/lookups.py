"""Indexed lookups by id. moto searches linearly, which is too slow for an estate of ten thousand images."""

import copy
from collections.abc import Sequence
from itertools import islice
from typing import Any

from moto.ec2.exceptions import InvalidAMIIdError, InvalidInstanceIdError, TagLimitExceeded
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, filter_reservations, generic_filter, get_prefix

from localcloud.ec2 import exceptions
from localcloud.ec2.validation import RESERVED, TAGS


class Lookups(EC2Backend):
    """A part of the EC2 backend; other lookups are moto's."""

    _instances: dict[str, tuple[Instance, Reservation]]
    """The instances of the first `_indexed` reservations, by id; an instance is never forgotten."""
    _indexed: int

    def get_instance_by_id(self, instance_id: str) -> Instance | None:
        """Return an instance, or None when there never was one of that id."""
        if instance_id not in self._instances:
            for reservation in islice(list(self.reservations.values()), self._indexed, None):
                self._instances.update({instance.id: (instance, reservation) for instance in reservation.instances})
            # moto may still be adding instances to the newest.
            self._indexed = max(0, len(self.reservations) - 1)
        found = self._instances.get(instance_id)
        return found[0] if found else None

    def get_instance(self, instance_id: str) -> Instance:
        """Return an instance."""
        return self.get_multi_instances_by_id([instance_id])[0]

    def get_multi_instances_by_id(self, instance_ids: Sequence[str], filters: Any = None) -> list[Instance]:
        """Return instances, each once."""
        found = {each: self.get_instance_by_id(each) for each in instance_ids}
        unknown = [each for each, instance in found.items() if instance is None]
        if unknown:
            raise InvalidInstanceIdError(unknown)
        return [instance for instance in found.values() if instance is not None and instance.applies(filters)]

    def get_reservations_by_instance_ids(self, instance_ids: Sequence[str], filters: Any = None) -> list[Reservation]:
        """Return the reservations of instances, with only those."""
        shown: dict[str, Reservation] = {}
        for instance in self.get_multi_instances_by_id(instance_ids):
            _, reservation = self._instances[instance.id]
            if reservation.id not in shown:
                shown[reservation.id] = copy.copy(reservation)
                shown[reservation.id].instances = []
            shown[reservation.id].instances.append(instance)
        every = list(shown.values())
        return filter_reservations(every, filters) if filters else every

    def get_snapshot(self, snapshot_id: str) -> Snapshot:
        """Return a snapshot."""
        if snapshot_id not in self.snapshots:
            raise exceptions.unknown_snapshot(snapshot_id)
        return self.snapshots[snapshot_id]

    def describe_snapshots(self, snapshot_ids: list[str] | None = None, filters: Any = None) -> list[Snapshot]:
        """Return snapshots."""
        if not snapshot_ids:
            return super().describe_snapshots(None, filters)
        named = [self.get_snapshot(each) for each in dict.fromkeys(snapshot_ids)]
        return generic_filter(filters, named) if filters else named

    def do_resources_exist(self, resource_ids: Sequence[str]) -> bool:
        """Refuse to tag what does not exist; moto passes over instances and interfaces."""
        for resource_id in resource_ids:
            if resource_id.startswith("i-"):
                self.get_instance(resource_id)
            elif resource_id.startswith("eni-"):
                self.get_network_interface(resource_id)
        return super().do_resources_exist(list(resource_ids))

    def create_tags(self, resource_ids: Sequence[str], tags: dict[str, str]) -> bool:
        """Set tags, of which a resource may have 50; those that AWS sets itself do not count, as they do in moto."""
        for resource_id in resource_ids:
            present = self.tags.get(resource_id, {})
            if len(present) + len(tags) > TAGS:
                counted = {key for key in (*present, *tags) if not key.startswith(RESERVED)}
                if len(counted) > TAGS:
                    raise TagLimitExceeded
        for resource_id in resource_ids:
            self.tags[resource_id].update(tags)
        return True

    def delete_tags(self, resource_ids: Sequence[str], tags: dict[str, str]) -> bool:
        """Remove tags, and all but those that AWS set when the request names none."""
        for resource_id in resource_ids:
            named: dict[str, Any] = tags or {
                key: None for key in self.tags[resource_id] if not key.startswith(RESERVED)
            }
            super().delete_tags([resource_id], named)
        return True

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        """Return tags; those of resources named by their whole ids without a search."""
        ids = (filters or {}).get("resource-id", [])
        if not filters or set(filters) != {"resource-id"} or any(mark in each for each in ids for mark in "*?"):
            return super().describe_tags(filters)
        return [
            {
                "resource_id": resource_id,
                "key": key,
                "value": value,
                "resource_type": EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), ""),
            }
            for resource_id in ids
            for key, value in self.tags.get(resource_id, {}).items()
        ]

    def describe_images(
        self,
        ami_ids: list[str] | None = None,
        filters: dict[str, Any] | None = None,
        exec_users: list[str] | None = None,
        owners: list[str] | None = None,
    ) -> list[Any]:
        """Return images; moto's launching requests one by its id alone, each time."""
        wanted = filters.get("image-id") if filters and len(filters) == 1 else None
        if isinstance(wanted, str) and not (ami_ids or exec_users or owners):
            ami_ids, filters = [wanted], None
        if ami_ids:
            found = {each: self.launchable_image(each) for each in ami_ids}  # type: ignore[attr-defined] # ours
            unknown = [each for each, image in found.items() if image is None and each not in self.deleted_amis]
            if unknown:
                raise InvalidAMIIdError(unknown)
            images = [image for image in found.values() if image is not None]
            return generic_filter(filters, images) if filters else images
        every: list[Any] = super().describe_images(None, filters, None, owners)
        shared = [image for image in self.shared_images() if not owners or image.owner_id in owners]  # type: ignore[attr-defined] # ours
        every += generic_filter(filters, shared) if filters else shared
        if not exec_users:
            return every
        permissions = [
            {"Group": "all"} if user == "all" else {"UserId": self.account_id if user == "self" else user}
            for user in exec_users
        ]
        return [image for image in every if any(each in image.launch_permissions for each in permissions)]
