"""Release records: what one says, how it is named, and when two of them tell of the same release."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema

SCHEMA_VERSION: Final = 1
SUCCESSFUL: Final = "successful"

_IDENTITY: Final = ("dag_run", "ami_id", "launch_template")
"""What two records share when they were written by two tries of one run that did the same."""


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a release record."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("release.schema.json").read_text(encoding="utf-8"))
    return loaded


def validate(record: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the field, if `record` does not follow the schema."""
    validator = jsonschema.Draft202012Validator(schema())
    problems = [
        f"{'.'.join(str(part) for part in error.absolute_path) or '(record)'}: {error.message}"
        for error in validator.iter_errors(dict(record))
    ]
    if problems:
        raise ValueError(f"release record {record.get('release_id', '(no id)')}: {'; '.join(problems)}")


def release_ids(service: str, version: str, requested_at: datetime) -> Iterator[str]:
    """Yield names for a release, the first to be used that is free.

    They sort by time, and come from when the run was asked for: every try of one run gets the same. A second
    name is needed only when two runs were asked for in the same second, or one run was cleared and did it anew.
    """
    name = f"{service}-{requested_at:%Y%m%dT%H%M%S}-{version}"
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def same_release(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two records tell of the same release, however long its tries took."""
    return all(one.get(field) == other.get(field) for field in _IDENTITY)


def key(service: str, release_id: str) -> str:
    """Return the object key of a record."""
    return f"releases/{service}/{release_id}.json"


def asset_uri(environment: str, service: str) -> str:
    """Return the name and URI of the asset that a release of the service updates."""
    return f"rebake://{environment}/{service}/release"
