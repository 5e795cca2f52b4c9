"""From any end of a release to all of it: which records tell of a thing, and a record as a chain that people read.

Everything that a release made or used is in its record. The tags lead there as well: an image has `rebake:release`,
the id of the last release that rolled it out. An instance has `rebake:ami`, and not the release: its tags come from
the launch template, which Terraform writes before the release has an id. So an instance that no record names, because
the group launched it later, leads by its image to the release of that image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rebake.release import record as release

Record = Mapping[str, Any]

SHORTEST_PREFIX: Final = 7
"""Digits of a commit or a fingerprint that are enough to name it, as in git."""
_NOT_YET: Final = "(not reached)"


@dataclass
class Node:
    """A line of the tree, and what hangs below it."""

    text: str
    below: list[Node] = field(default_factory=list)


def names(record: Record) -> dict[str, list[str]]:
    """Return everything that a record can be found by: its names, by what they are."""
    template, refresh = record["launch_template"] or {}, record["refresh"] or {}
    found = {
        "release": [record["release_id"]],
        "commit": [record["commit"]],
        "build": [record["build_id"]],
        "version": [record["version"]],
        "fingerprint": [record["fingerprint"]],
        "base image": [record["base_ami"]],
        "image": [record["ami_id"]],
        "test instance": [(record["test_report"] or {}).get("instance_id")],
        "launch template": [template.get("id"), f"{template['id']}:{template['version']}" if template else None],
        "refresh": [refresh.get("id")],
        "instance before": record["instances"]["before"],
        "instance after": record["instances"]["after"],
        "run": [record["dag_run"]],
    }
    return {kind: [name for name in these if name] for kind, these in found.items()}


def matches(record: Record, of: str) -> list[str]:
    """Return as what `of` is known in a record, such as `image`; empty if it is not."""
    found = names(record)
    by_prefix = {
        kind
        for kind in ("commit", "fingerprint")
        for name in found[kind]
        if len(of) >= SHORTEST_PREFIX and (name.startswith(of) or (kind == "commit" and _is_prefix(name, of)))
    }
    return [kind for kind, these in found.items() if of in these or kind in by_prefix]


def _is_prefix(name: str, of: str) -> bool:
    """Return whether a run was told a short form of the commit that is looked for."""
    return len(name) >= SHORTEST_PREFIX and of.startswith(name)


def find(records: Sequence[Record], of: str) -> list[tuple[Record, list[str]]]:
    """Return the records that tell of `of`, in the order given, each with what it is there."""
    found = ((record, matches(record, of)) for record in records)
    return [(record, kinds) for record, kinds in found if kinds]


def tree(record: Record, base: str = "", revoked: str = "") -> Node:
    """Return a record as a chain: each line made the one below it.

    Args:
        record: of a release.
        base: how its base image stands today, in words; the record itself tells of its own time only.
        revoked: why its image may not be released any more, in words that follow "which".
    """
    template = record["launch_template"]
    existed = " (existed already)" if record["ami_id"] and record["reused"] else ""
    image = Node(f"image {record['ami_id'] or _NOT_YET}{existed}{revoked and f', which {revoked}'}")
    below = Node(f"base image {record['base_ami'] or _NOT_YET}{base and f' ({base})'}")
    fingerprint = Node(f"fingerprint {record['fingerprint'] or _NOT_YET}", [below, image])
    if record["template_version"]:
        fingerprint.below.insert(0, Node(f"template version {record['template_version']}"))
    version = Node(f"version {record['version']} of {record['service']}", [fingerprint])
    build = f" (build {record['build_id']})" if record["build_id"] else ""
    commit = Node(f"commit {record['commit'] or '(the run was not told)'}{build}", [version])
    rolled = Node(
        f"launch template {template['id']} version {template['version']}"
        if template
        else f"launch template {_NOT_YET}",
        [_refresh(record)],
    )
    image.below = [Node(_test(record)), rolled]
    return Node(_headline(record), [*(Node(line) for line in _notes(record)), commit])


def _headline(record: Record) -> str:
    return (
        f"release {record['release_id']}  {record['outcome']}  ({record['kind']}, asked for by "
        f"{record['requested_by']} at {record['requested_at']}, run {record['dag_run']})"
    )


def _notes(record: Record) -> Iterator[str]:
    if record["restores"]:
        yield f"returns to release {record['restores']}"
    if record["outcome"] not in {release.SUCCESSFUL, release.IN_PROGRESS}:
        yield f"{record['outcome']} at {record['stage'] or 'no stage'}: {record['reason']}: {record['explanation']}"


def _test(record: Record) -> str:
    report = record["test_report"]
    if not report:
        return f"test report {_NOT_YET}"
    passed = sum(check["ok"] for check in report["checks"])
    return (
        f"test report: {passed} of {len(report['checks'])} checks passed on {report['instance_id']} "
        f"in {report['seconds']:.1f} s"
    )


def _refresh(record: Record) -> Node:
    refresh, instances, channels = record["refresh"], record["instances"], record["channels"]
    if refresh is None:
        text = f"refresh {_NOT_YET}"
    elif refresh["id"] is None:
        text = "no refresh was needed"
    else:
        text = f"refresh {refresh['id']} {refresh['status'] or 'is not over'}"
    below = [
        Node(f"instances before: {', '.join(instances['before']) or 'none'}"),
        Node(f"instances after: {', '.join(instances['after']) or 'none'}"),
    ]
    if channels:
        below.append(Node("channels: " + ", ".join(f"{name} {ami or '(unset)'}" for name, ami in channels.items())))
    else:
        below.append(Node("channels: none was moved"))
    return Node(text, below)


def lines(node: Node, *, lead: str = "", below: str = "") -> Iterator[str]:
    """Yield the lines of a tree, drawn."""
    yield f"{lead}{node.text}"
    for child in node.below:
        is_last = child is node.below[-1]
        yield from lines(
            child, lead=f"{below}{'└─ ' if is_last else '├─ '}", below=f"{below}{'   ' if is_last else '│  '}"
        )
