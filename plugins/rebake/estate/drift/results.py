"""What the tasks of `detect_drift` return: one value each, as `rebake.release.results` for those of a deployment."""

from collections.abc import Mapping

from pydantic import Field

from rebake.estate.drift.finding import Finding, Unseen
from rebake.release.results import Result


class ScanResult(Result):
    """What was found by the AWS API, or by the plans of a lane of fleets.

    Attributes:
        findings: what is not as it was declared.
        unseen: what could not be scanned.
        groups: the Auto Scaling group of each service; empty for a lane.
    """

    findings: tuple[Finding, ...]
    unseen: tuple[Unseen, ...]
    groups: Mapping[str, str] = Field(default_factory=dict)


class Repair(Result):
    """The repair of one service: the arguments of `RepairDriftOperator`."""

    service: str
    auto_scaling_group_name: str
    findings: tuple[Finding, ...]


class ReportedDrift(Result):
    """What is to be done about a scan.

    Attributes:
        report: object key of the report.
        changed: ids of the findings that are `new` and `fixed`; none if nothing changed.
        auto: the repairs that policy wants done at once.
        approve: those that a person has to approve.
        question: what is to be approved, in Markdown; empty if nothing is.
    """

    report: str
    changed: dict[str, tuple[str, ...]] | None
    auto: tuple[Repair, ...]
    approve: tuple[Repair, ...]
    question: str


class RepairOutcome(Result):
    """What came of the repair of one service."""

    service: str
    outcome: str
