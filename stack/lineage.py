"""`make lineage OF=...`: everything about a release, from any end of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from botocore.exceptions import ClientError

from rebake import config, tags
from rebake.estate.outdated import Standing
from rebake.estate.revocation import Mark
from rebake.release import lineage
from rebake.release import record as release
from rebake.release.record import ReleaseRecord
from stack import revoke
from stack.bases import Bases
from stack.cloud import reading
from stack.errors import InputError
from stack.settings import ENVIRONMENT
from stack.up import Stack

Found = tuple[ReleaseRecord, list[str]]
"""A record, with the kinds of thing that was found in it."""


def run(stack: Stack, of: str, service: str, form: str) -> str:
    """Return what is known of a commit, a version, a release, an image, a refresh or an instance, as text or JSON.

    Raises:
        InputError: nothing is known of it, with what can be searched for.
        StackError: the embedded cloud does not answer.
    """
    if not of:
        raise InputError("name a thing: make lineage OF=<commit | version | release id | ami-… | refresh id | i-…>")
    if service and service not in config.service_names():
        raise InputError(f"no service {service!r}: one of {', '.join(config.service_names())}")
    services = [service] if service else config.service_names()
    with reading():
        records = read(stack, services)
        found, via = find(stack, records, of)
        bases = Bases(stack)
        standings = [bases.standing(record) for record, _ in found]
        revoked = revoke.marks(stack)
        marks = [revoked.get(record.ami_id or "") for record, _ in found]
    if not found:
        raise InputError(explain(records, services, of))
    return as_json(found, standings, marks) if form == "json" else as_text(found, standings, marks, of, via)


def read(stack: Stack, services: Sequence[str]) -> list[ReleaseRecord]:
    """Return all records of the services, newest first."""
    s3, bucket = stack.cloud.client("s3"), config.load_environment(ENVIRONMENT).bucket
    found = [record for service in services for record in release.records(s3, bucket, service)]
    return sorted(found, key=lambda record: record.requested_at, reverse=True)


def find(stack: Stack, records: Sequence[ReleaseRecord], of: str) -> tuple[list[Found], str]:
    """Return the records that contain a thing, and what else they were found by if none contains it."""
    found = lineage.find(records, of)
    if not found and of.startswith("i-"):
        # The group launched it after the release, or before there was one: its tags name its image.
        image = _image_of(stack, of)
        good = [one for one in lineage.find(records, image) if one[0].is_successful] if image else []
        if good:
            return good[:1], f"{of} was launched outside of a rollout; it runs image {image}"
    return found, ""


def _image_of(stack: Stack, instance_id: str) -> str:
    try:
        answer = stack.cloud.client("ec2").describe_instances(InstanceIds=[instance_id])
    except ClientError:
        return ""
    for reservation in answer["Reservations"]:
        for instance in reservation["Instances"]:
            labels = tags.read(instance)
            return str(labels.get(tags.AMI) or instance["ImageId"])
    return ""


def explain(records: Sequence[ReleaseRecord], services: Sequence[str], of: str) -> str:
    """Return the message when nothing is known of a thing."""
    where = f"none of the {len(records)} release records of {', '.join(services)}"
    if not records:
        return f"there is no release record of {', '.join(services)} yet: `make deploy` makes the first"
    newest = ", ".join(record.release_id for record in records[:5])
    return (
        f"{where} contains {of!r}. It may be a commit (7 digits or more), a version, a release id, an image, a refresh "
        f"or an instance. The newest releases: {newest}"
    )


def as_json(found: Sequence[Found], standings: Sequence[Standing | None], marks: Sequence[Mark | None]) -> str:
    """Return the records as JSON, each with what the thing is in it, and how its base and image stand today."""
    entries = [
        {
            "found_as": kinds,
            "record": record.model_dump(mode="json"),
            "base": base.facts if base else None,
            "revoked": asdict(mark) if mark else None,
        }
        for (record, kinds), base, mark in zip(found, standings, marks, strict=True)
    ]
    return json.dumps(entries, indent=2)


def as_text(
    found: Sequence[Found],
    standings: Sequence[Standing | None],
    marks: Sequence[Mark | None],
    of: str,
    via: str = "",
) -> str:
    """Return the records as text, newest first."""
    text = [via] if via else []
    if len(found) > 1:
        text.append(f"{len(found)} releases contain {of}, the newest first:")
    for (record, kinds), base, mark in zip(found, standings, marks, strict=True):
        if not via:
            text.append(f"found by {', '.join(kinds)} {of}:")
        text += lineage.lines(
            lineage.tree(record, base.text if base else "", mark.message_for(record.ami_id or "") if mark else "")
        )
        text.append("")
    return "\n".join(text).strip("\n")
