"""A finding of `detect_drift`: one thing that is not as it was declared, and what has changed since the last scan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What a finding is about; `policy.drift.remediate` decides what happens to each kind."""

    INFRASTRUCTURE = "infrastructure"
    """A resource that is not as Terraform declares it."""
    IMAGE = "image"
    """Registry, launch template and instances of a fleet name different images."""
    POSTURE = "posture"
    """A fleet that is open, old or undeclared in a way that none may be."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was declared."""

    kind: FindingKind
    check: str
    """What was checked, such as `port-22`: the closed list is in docs/drift.md."""
    service: str
    """Empty where a thing belongs to no service."""
    resource: str
    """Terraform's address, or the id of a thing in AWS."""
    attribute: str = ""
    found: str = ""
    declared: str = ""
    note: str = ""
    repairable: bool = False
    """Whether a repair is known that cannot do harm."""

    @property
    def id(self) -> str:
        """The same in every scan that finds the same; without what was found, because ages grow."""
        return f"{self.kind}/{self.check}/{self.service}/{self.resource}/{self.attribute}"

    @property
    def seen(self) -> tuple[str, str, str]:
        """What a person has approved the repair of: the finding, and what it reported."""
        return self.id, self.found, self.declared


@dataclass(frozen=True)
class Unseen:
    """A part of the estate that could not be scanned this time: its earlier findings still stand."""

    service: str
    kind: FindingKind
    why: str

    def covers(self, finding_id: str) -> bool:
        """Return whether the finding belongs to this part."""
        kind, _, service, *_ = finding_id.split("/")
        return (kind, service) == (self.kind, self.service)


@dataclass(frozen=True)
class Change:
    """What differs from the last scan, by the ids of findings."""

    new: tuple[str, ...]
    fixed: tuple[str, ...]
    known: tuple[str, ...]
    """All that stands now: what was seen, and what could not be scanned again."""

    @classmethod
    def since(cls, before: Iterable[str], now: Iterable[Finding], unseen: Iterable[Unseen]) -> Change:
        """Return the change from the ids that were known before to the findings of now."""
        parts, old, seen = tuple(unseen), set(before), {finding.id for finding in now}
        kept = {one for one in old - seen if any(part.covers(one) for part in parts)}
        return cls(
            new=tuple(sorted(seen - old)), fixed=tuple(sorted(old - seen - kept)), known=tuple(sorted(seen | kept))
        )

    def __bool__(self) -> bool:
        return bool(self.new or self.fixed)
