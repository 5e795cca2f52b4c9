"""Caches the attribute names by which moto's response serializer looks members up.

A response of EC2 has some sixty members per instance, and moto derives several candidate names for each of them, every
time. They depend only on the cache's key: without the cache, long responses take a quarter longer.
"""

from collections.abc import Callable, Hashable
from typing import Any

import moto.core.responses
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker
from moto.core.utils import get_value

_MISSING = object()


class CachingPicker(XFormedAttributePicker):
    """Finds the same values as moto's own picker."""

    names: dict[Hashable, tuple[str, ...]] = {}  # noqa: RUF012 # shared: moto makes a picker for each response

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._transforms: dict[str, list[tuple[str, Callable[[Any], Any]]]] = {}

    def __call__(self, context: AttributePickerContext) -> Any:
        """Return the value of one member of a response, or None if the object has none."""
        value: Any = None
        for name in self._names(context):
            found = get_value(context.obj, name, _MISSING)
            if found is not _MISSING:
                value = found
                break
        transforms = self._transforms_of(context.key)
        if transforms:
            path = f"{context.key_path}.{context.key}"
            for ending, transform in transforms:
                if path.endswith(ending):
                    return transform(value)
        return value

    def _names(self, context: AttributePickerContext) -> tuple[str, ...]:
        shape, service = context.shape, context.service_model
        kind: Hashable = (
            *(type(context.obj), context.key, shape.name, shape.type_name, shape.serialization.get("name")),
            *(getattr(shape, "parent", shape).name, service and service.service_name),
        )
        found = self.names.get(kind)
        if found is None:
            found = self.names[kind] = tuple(dict.fromkeys(self.get_possible_keys(context)))
        return found

    def _transforms_of(self, key: str) -> list[tuple[str, Callable[[Any], Any]]]:
        """Return the response's transforms that may apply to a member of that name."""
        found = self._transforms.get(key)
        if found is None:
            member = f".{key}"
            every = self.response_transformers.items()
            found = [one for one in every if one[0].endswith(member) or member.endswith(one[0])]
            self._transforms[key] = found
        return found


def install() -> None:
    """Make moto serialize responses with it."""
    responses: Any = moto.core.responses
    responses.XFormedAttributePicker = CachingPicker
