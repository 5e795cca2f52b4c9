"""The result of a case: checks, timeline, load."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

RATE_CHECK: Final = "the load never lets up"
LOSS_CHECK: Final = "no request fails"
LOAD_CHECKS: Final = (RATE_CHECK, LOSS_CHECK)
"""What has to hold of the load in every case."""


@dataclass(frozen=True)
class Check:
    """One thing that had to hold.

    Args:
        what: had to hold, as a phrase.
        measured: what was seen, for people.
        ok: whether it held.
    """

    what: str
    measured: str
    ok: bool


@dataclass(frozen=True)
class Table:
    """A table of a case besides its checks, such as stage by fault."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Findings:
    """The findings of a case.

    Args:
        checks: what had to hold.
        facts: ids and final states, for people, by what they are.
        figures: numbers that other cases compare theirs with.
        table: printed below the checks.
    """

    checks: Sequence[Check]
    facts: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    table: Table | None = None


@dataclass(frozen=True)
class Moment:
    """An event, in seconds after the load began; `kind` decides its colour."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class Span:
    """A period in seconds after the load began: an instance in one state, or a stage at work."""

    lane: str
    state: str
    start: float
    end: float


@dataclass(frozen=True)
class CaseResult:
    """The stored result of a case, as JSON.

    Args:
        name: of the case.
        at: when it began, in ISO 8601.
        commit: of the project.
        machine: it ran on.
        seconds: it took.
        load: the load's figures, see `prove.measure.figures_of`.
        findings: what it found out, the load's checks among them.
        moments: what happened when.
        spans: of the stages and of the instances.
    """

    name: str
    at: str
    commit: str
    machine: str
    seconds: float
    load: Mapping[str, Any]
    findings: Findings
    moments: Sequence[Moment]
    spans: Sequence[Span]

    @property
    def green(self) -> bool:
        """Whether everything held that had to."""
        return all(check.ok for check in self.findings.checks)

    def save(self, folder: Path) -> None:
        """Write it to `folder`, in the place of an earlier one of the same case."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load_from(cls, folder: Path, name: str) -> Self | None:
        """Load the result of a case, or None if it never ran."""
        path = folder / f"{name}.json"
        if not path.is_file():
            return None
        kept = json.loads(path.read_text())
        found = kept.pop("findings")
        table = found.pop("table")
        findings = Findings(
            checks=[Check(**check) for check in found.pop("checks")], table=Table(**table) if table else None, **found
        )
        moments = [Moment(**moment) for moment in kept.pop("moments")]
        spans = [Span(**span) for span in kept.pop("spans")]
        return cls(findings=findings, moments=moments, spans=spans, **kept)
