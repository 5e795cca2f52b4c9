"""Indexed lookups by id. moto searches linearly, which is too slow for an estate of ten thousand images."""

from itertools import islice
from typing import Any

from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models.instances import Instance
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix


class Lookups:
    """A part of the EC2 backend; other lookups are moto's."""

    tags: dict[str, dict[str, str]]
    reservations: dict[str, Any]
    amis: dict[str, Any]
    _instances: dict[str, Instance]
    """The instances of the first `_indexed` reservations, by id; an instance is never forgotten."""
    _indexed: int

    def get_instance_by_id(self, instance_id: str) -> Instance | None:
        """Return an instance, or None when there never was one of that id."""
        if instance_id not in self._instances:
            for reservation in islice(list(self.reservations.values()), self._indexed, None):
                self._instances.update({instance.id: instance for instance in reservation.instances})
            # moto may still be adding instances to the newest.
            self._indexed = max(0, len(self.reservations) - 1)
        return self._instances.get(instance_id)

    def get_instance(self, instance_id: str) -> Instance:
        """Return an instance.

        Raises:
            InvalidInstanceIdError: there never was one of that id.
        """
        found = self.get_instance_by_id(instance_id)
        if found is None:
            raise InvalidInstanceIdError(instance_id)
        return found

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        """Return tags; those of resources named by their whole ids without a search."""
        ids = (filters or {}).get("resource-id", [])
        if not filters or set(filters) != {"resource-id"} or any(mark in each for each in ids for mark in "*?"):
            every: list[dict[str, str]] = super().describe_tags(filters)  # type: ignore[misc] # moto's backend comes after
            return every
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
            return [self.amis[wanted]] if wanted in self.amis else []
        every: list[Any] = super().describe_images(ami_ids, filters, exec_users, owners)  # type: ignore[misc] # as above
        return every
