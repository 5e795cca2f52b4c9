"""The published JSON Schema of the release record."""

import json

from rebake.release import schema


def test_the_published_schema_is_the_models() -> None:
    assert schema.PATH.read_text(encoding="utf-8") == schema.text(), (
        "the model of the release record has changed: PYTHONPATH=plugins .venv/bin/python -m rebake.release.schema"
    )


def test_the_schema_lets_no_field_be_left_out_or_added_and_describes_each() -> None:
    published = json.loads(schema.text())

    for one in (published, *(part for part in published["$defs"].values() if "properties" in part)):
        assert set(one["required"]) == set(one["properties"]), one["title"]
        assert one["additionalProperties"] is False, one["title"]
        assert all(field["description"] for field in one["properties"].values()), one["title"]
