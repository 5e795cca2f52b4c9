"""The JSON Schema of the release record, generated from its model: `python -m rebake.release.schema` writes it."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from rebake.release.record import ReleaseRecord

PATH: Final = Path(__file__).with_name("record.schema.json")
ID: Final = "https://rebake.invalid/release.schema.json"


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles of fields, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return that none should."""
        return False


def text() -> str:
    """Return the schema as the file has it: a line for each field."""
    schema = ReleaseRecord.model_json_schema(mode="serialization", schema_generator=_Untitled)
    return _lines({"$schema": GenerateJsonSchema.schema_dialect, "$id": ID, **schema}, depth=2) + "\n"


def _lines(value: Any, depth: int, indent: str = "") -> str:
    """Return JSON, with a line for each entry of an object down to a depth, or as deep as it has properties."""
    if not isinstance(value, dict) or (depth <= 0 and "properties" not in value):
        return json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    entries = (
        f"{inner}{json.dumps(name)}: {_lines(one, 1 if name == 'properties' else depth - 1, inner)}"
        for name, one in value.items()
    )
    return "{\n" + ",\n".join(entries) + "\n" + indent + "}"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
