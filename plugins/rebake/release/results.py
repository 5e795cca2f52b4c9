"""What the stages of a deployment or rollback return: one value each, which the release record is built from.

A stage returns its result with `model_dump(mode="json")`, so that Airflow can keep and show it.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict

from rebake.image.probe_report import ProbeReport

FAILURE: Final = "failure"
"""XCom key under which a stage that did not succeed leaves its `Failure`: it has no return value."""


class Result(BaseModel):
    """What a task returns."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BakeResult(Result):
    """The image that is rolled out, as the stage `bake` found or made it."""

    ami_id: str
    version: str
    commit: str
    build_id: str
    template_version: str
    fingerprint: str
    base_ami: str
    reused: bool
    """Whether the image existed already."""


class ChosenRelease(BakeResult):
    """The release that a rollback returns to, with its image."""

    release_id: str
    test_report: ProbeReport
    auto_scaling_group_name: str


class ApplyResult(Result):
    """The outputs of `infrastructure/fleet`."""

    launch_template_id: str
    launch_template_version: str
    auto_scaling_group_name: str
    target_group_arn: str
    url: str
    load_balancer_dns_name: str


class RefreshResult(Result):
    """The refresh that brings the fleet to the image.

    Attributes:
        refresh_id: the refresh to wait for; empty if there is nothing to do.
        launch_template_version: what every instance must run at the end; empty for any.
        instances_before: ids of the instances that the refresh replaces.
    """

    refresh_id: str
    launch_template_version: str
    instances_before: tuple[str, ...]


class Failure(Result):
    """Why a stage did not succeed.

    Attributes:
        reason: a code, such as `unhealthy`.
        message: the same in a sentence.
        superseded_by: the run that made it pointless; none if it failed.
    """

    reason: str
    message: str
    superseded_by: str | None = None


class Results(Result):
    """The results of a run's stages so far; none of those that have not succeeded."""

    bake: BakeResult | None = None
    chosen: ChosenRelease | None = None
    probe: ProbeReport | None = None
    applied: ApplyResult | None = None
    started: RefreshResult | None = None
    refresh_status: str = ""
    """How the refresh ended; empty while it has not."""

    @property
    def image(self) -> BakeResult | None:
        """The image that is rolled out: of a deployment, of a rollback."""
        return self.bake or self.chosen

    @property
    def test_report(self) -> ProbeReport | None:
        """The test of the image."""
        return self.chosen.test_report if self.chosen else self.probe
