"""moto's answers, for which it need not think of the names of every attribute anew.

An answer of EC2 has some sixty members an instance, each looked up in moto's objects by several names. moto derives
the names at each look, though they only depend on what is kept here: without that a long answer takes a quarter longer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import moto.core.responses
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker
from moto.core.utils import get_value

_MISSING = object()


class RememberingPicker(XFormedAttributePicker):
    """Finds what moto's own picker finds."""

    names: dict[Hashable, tuple[str, ...]] = {}  # noqa: RUF012 # of all pickers: moto makes one for each answer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._transforms: dict[str, list[tuple[str, Callable[[Any], Any]]]] = {}

    def __call__(self, context: AttributePickerContext) -> Any:
        """Return the value of one member of an answer; None if the object has none."""
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
        """Return those of the answer's transforms that can be meant for a member of that name."""
        found = self._transforms.get(key)
        if found is None:
            member = f".{key}"
            every = self.response_transformers.items()
            found = [one for one in every if one[0].endswith(member) or member.endswith(one[0])]
            self._transforms[key] = found
        return found


def install() -> None:
    """Have moto write its answers with it."""
    responses: Any = moto.core.responses
    responses.XFormedAttributePicker = RememberingPicker
