"""Release records: what one says, how it is named, and when two of them tell of the same release."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
from botocore.exceptions import ClientError

from rebake.aws_errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEMA_VERSION: Final = 1
IN_PROGRESS: Final = "in_progress"
SUCCESSFUL: Final = "successful"
FAILED: Final = "failed"
ROLLED_BACK: Final = "rolled_back"
"""It failed, and the fleet is back on the image before."""
SUPERSEDED: Final = "superseded"
"""Another run acquired the lease; nobody needs to be woken."""

_IDENTITY: Final = ("dag_run", "outcome", "ami_id", "launch_template")
"""What two records share when they were written by two tries of one run that did the same."""


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a release record."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("record.schema.json").read_text(encoding="utf-8"))
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


def blank() -> dict[str, Any]:
    """Return a record that says nothing yet: every field that a run may not come to, null or empty."""
    return {
        "schema": SCHEMA_VERSION,
        "kind": "deploy",
        "restores": None,
        "version": "unknown",
        "commit": "",
        "build_id": "",
        "template_version": "",
        "fingerprint": "",
        "base_ami": "",
        "ami_id": None,
        "reused": False,
        "test_report": None,
        "launch_template": None,
        "auto_scaling_group_name": "",
        "url": "",
        "refresh": None,
        "instances": {"before": [], "after": []},
        "channels": None,
        "finished_at": None,
        "outcome": IN_PROGRESS,
        "stage": "",
        "reason": "",
        "explanation": "",
        "superseded_by": None,
    }


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


def folder(service: str) -> str:
    """Return what the object keys of a service's records begin with."""
    return f"releases/{service}/"


def key(service: str, release_id: str) -> str:
    """Return the object key of a record."""
    return f"{folder(service)}{release_id}.json"


def progress_key(service: str, release_id: str) -> str:
    """Return the object key of the record of a release that is still on its way."""
    return f"{folder(service)}{release_id}.progress.json"


def latest_first(keys: Collection[str]) -> list[str]:
    """Return the keys of a service's records, newest first; one in progress only while there is no final one."""
    finals = {key for key in keys if not key.endswith(".progress.json")}
    going_on = {key for key in keys if key.endswith(".progress.json")}
    open_ones = {key for key in going_on if key.replace(".progress.json", ".json") not in finals}
    # The second record of a run, `...-2`, is the later one: so the ending must not take part.
    return sorted(finals | open_ones, key=lambda key: key.removesuffix(".json"), reverse=True)


def records(s3: S3Client, bucket: str, service: str) -> Iterator[dict[str, Any]]:
    """Yield a service's records, newest first, those in progress too; each is read when it is asked for.

    S3, ListObjectsV2 and GetObject. A release that began after the list was made is not among them.
    """
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder(service))
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    for key in latest_first(keys):
        record = read(s3, bucket, key)
        if record is not None:
            yield record


def current(records: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the record of the release that the service runs: the newest that succeeded; none if none ever has.

    Args:
        records: of one service, newest first; no more of them are asked for than it takes.
    """
    return next((record for record in records if record["outcome"] == SUCCESSFUL), None)


def read(s3: S3Client, bucket: str, key: str) -> dict[str, Any] | None:
    """Return the record of an object key; none if there is none (S3, GetObject)."""
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error_code(error) == "NoSuchKey":
            return None
        raise
    loaded: dict[str, Any] = json.loads(body)
    return loaded


def asset_uri(environment: str, service: str) -> str:
    """Return the name and URI of the asset that a release of the service updates."""
    return f"rebake://{environment}/{service}/release"
