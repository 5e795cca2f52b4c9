"""What the tasks of `detect_drift` return: one value each, as `rebake.release.results` for those of a deployment."""

from collections.abc import Mapping

from pydantic import Field

from rebake.estate.drift.finding import Finding, Unseen
from rebake.release.results import Result


class ScanResult(Result):
    """What was found by the AWS API, or by the plans of a lane of fleets."""

    findings: tuple[Finding, ...]
    unseen: tuple[Unseen, ...]
    groups: Mapping[str, str] = Field(default_factory=dict)
    """The Auto Scaling group of each service; empty for a lane."""


class Repair(Result):
    """The repair of one service: the arguments of `RepairDriftOperator`."""

    service: str
    auto_scaling_group_name: str
    findings: tuple[Finding, ...]


class ReportedDrift(Result):
    """The object key of a scan's report, and what is to be done about it: by how policy wants the repairs done."""

    report: str
    changed: dict[str, tuple[str, ...]] | None
    """Ids of the findings that are `new` and `fixed`; none if nothing changed."""
    auto: tuple[Repair, ...]
    approve: tuple[Repair, ...]
    question: str
    """What a person is to approve, in Markdown; empty if nothing."""


class RepairOutcome(Result):
    """What came of the repair of one service."""

    service: str
    outcome: str
