"""Find a release by any id in its record, and draw a record as a tree.

Everything that a release made or used is in its record. Tags lead there as well: an image has `rebake:release`, the id
of the last release that rolled it out. An instance has `rebake:ami`, and not the release: its tags come from the launch
template, which Terraform writes before the release has an id. So an instance that no record names, because the group
launched it later, is found by its image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rebake.release.record import ReleaseOutcome, ReleaseRecord

SHORTEST_PREFIX: Final = 7
"""Digits of a commit or a fingerprint that are enough to name it, as in git."""
_NOT_YET: Final = "(not reached)"


@dataclass
class Node:
    """A line of the tree, and what hangs below it."""

    text: str
    below: list[Node] = field(default_factory=list)


def names(record: ReleaseRecord) -> dict[str, list[str]]:
    """Return everything that a record can be found by, by kind."""
    template, refresh, report = record.launch_template, record.refresh, record.test_report
    found: dict[str, Iterable[str | None]] = {
        "release": [record.release_id],
        "commit": [record.commit],
        "build": [record.build_id],
        "version": [record.version],
        "fingerprint": [record.fingerprint],
        "base image": [record.base_ami],
        "image": [record.ami_id],
        "test instance": [report.instance_id if report else None],
        "launch template": [template.id, f"{template.id}:{template.version}"] if template else [],
        "refresh": [refresh.id if refresh else None],
        "instance before": record.instances.before,
        "instance after": record.instances.after,
        "run": [record.dag_run],
    }
    return {kind: [name for name in these if name] for kind, these in found.items()}


def matches(record: ReleaseRecord, of: str) -> list[str]:
    """Return the kinds of thing that `of` is in a record, such as `image`; empty if it is not there."""
    found = names(record)
    by_prefix = {
        kind
        for kind in ("commit", "fingerprint")
        for name in found[kind]
        if len(of) >= SHORTEST_PREFIX and (name.startswith(of) or (kind == "commit" and _is_prefix(name, of)))
    }
    return [kind for kind, these in found.items() if of in these or kind in by_prefix]


def _is_prefix(name: str, of: str) -> bool:
    """Return whether the record has a short form of the commit that is searched for."""
    return len(name) >= SHORTEST_PREFIX and of.startswith(name)


def find(records: Sequence[ReleaseRecord], of: str) -> list[tuple[ReleaseRecord, list[str]]]:
    """Return the records that contain `of`, in the order given, each with the kinds of thing that it is there."""
    found = ((record, matches(record, of)) for record in records)
    return [(record, kinds) for record, kinds in found if kinds]


def tree(record: ReleaseRecord, base: str = "", revoked: str = "") -> Node:
    """Return a record as a tree: each line made the one below it.

    Args:
        record: of a release.
        base: whether its base image is outdated today, in words; the record only knows its own time.
        revoked: why its image may not be released any more, in words that follow "which".
    """
    template = record.launch_template
    existed = " (existed already)" if record.ami_id and record.reused else ""
    image = Node(f"image {record.ami_id or _NOT_YET}{existed}{revoked and f', which {revoked}'}")
    below = Node(f"base image {record.base_ami or _NOT_YET}{base and f' ({base})'}")
    fingerprint = Node(f"fingerprint {record.fingerprint or _NOT_YET}", [below, image])
    if record.template_version:
        fingerprint.below.insert(0, Node(f"Packer template version {record.template_version}"))
    version = Node(f"version {record.version} of {record.service}", [fingerprint])
    build = f" (build {record.build_id})" if record.build_id else ""
    commit = Node(f"commit {record.commit or '(not given)'}{build}", [version])
    rolled_out = f"launch template {template.id} version {template.version}" if template else ""
    image.below = [Node(_test(record)), Node(rolled_out or f"launch template {_NOT_YET}", [_refresh(record)])]
    return Node(_headline(record), [*(Node(line) for line in _notes(record)), commit])


def _headline(record: ReleaseRecord) -> str:
    return (
        f"release {record.release_id}  {record.outcome}  ({record.kind}, requested by "
        f"{record.requested_by} at {record.requested_at.isoformat()}, run {record.dag_run})"
    )


def _notes(record: ReleaseRecord) -> Iterator[str]:
    if record.restores:
        yield f"returns to release {record.restores}"
    if record.outcome not in {ReleaseOutcome.SUCCESSFUL, ReleaseOutcome.IN_PROGRESS}:
        yield f"{record.outcome} at {record.stage or 'no stage'}: {record.reason}: {record.explanation}"


def _test(record: ReleaseRecord) -> str:
    report = record.test_report
    if report is None:
        return f"test report {_NOT_YET}"
    passed = sum(check.ok for check in report.checks)
    return (
        f"test report: {passed} of {len(report.checks)} checks passed on {report.instance_id} in {report.seconds:.1f} s"
    )


def _refresh(record: ReleaseRecord) -> Node:
    refresh, instances, channels = record.refresh, record.instances, record.channels
    if refresh is None:
        text = f"refresh {_NOT_YET}"
    elif refresh.id is None:
        text = "no refresh was needed"
    else:
        text = f"refresh {refresh.id} {refresh.status or 'is not over'}"
    moved = ", ".join(f"{name} {ami or '(unset)'}" for name, ami in channels) if channels else "none was moved"
    below = [
        Node(f"instances before: {', '.join(instances.before) or 'none'}"),
        Node(f"instances after: {', '.join(instances.after) or 'none'}"),
        Node(f"channels: {moved}"),
    ]
    return Node(text, below)


def lines(node: Node, *, lead: str = "", below: str = "") -> Iterator[str]:
    """Yield the lines of a tree, drawn."""
    yield f"{lead}{node.text}"
    for child in node.below:
        is_last = child is node.below[-1]
        yield from lines(
            child, lead=f"{below}{'└─ ' if is_last else '├─ '}", below=f"{below}{'   ' if is_last else '│  '}"
        )
