"""How an environment's estate of images and fleets is kept: `policy` in `config/environments/<environment>.yaml`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rebake.config.strict import Name, Strict

Remedy = Literal["report", "approve", "auto"]
"""What follows on a drift: a line in the report, a repair once a person has approved it, or a repair at once."""


class Retirement(Strict):
    """When images end. The ages count from when an image stopped being one of the newest `keep`, or was made."""

    dry_run: bool = Field(True, description="Report what would be done, and change nothing.")
    keep: int = Field(5, ge=3, description="Newest released images of each service and base that always stay.")
    rollback_window_days: float = Field(30, ge=0, description="Images of releases so young stay, however many.")
    deprecate_after_days: float = Field(30, ge=0, description="Age in days from which an image is deprecated.")
    disable_after_days: float = Field(60, ge=0, description="Age in days from which it cannot be launched any more.")
    deregister_after_days: float = Field(90, ge=0, description="Age in days from which it and its snapshots go.")
    keep_template_versions: int = Field(10, ge=1, description="Newest launch template versions that always stay.")
    young_minutes: float = Field(60, ge=0, description="Younger images stay, whatever the ages above are.")
    at_most: int = Field(100, ge=1, description="Images that one run changes; the rest waits for the next.")
    without_fleet: frozenset[Name] = Field(
        frozenset(), description="Services whose fleet was taken down on purpose, so that none is missed."
    )

    @model_validator(mode="after")
    def _ages_ascend(self) -> Self:
        ages = (self.deprecate_after_days, self.disable_after_days, self.deregister_after_days)
        if list(ages) != sorted(ages):
            raise ValueError(
                f"deprecate_after_days ({ages[0]:g}) <= disable_after_days ({ages[1]:g}) <= "
                f"deregister_after_days ({ages[2]:g}) must hold"
            )
        return self


class Orphans(Strict):
    """When something temporary counts as left behind."""

    dry_run: bool = Field(False, description="Report what would be removed, and remove nothing.")
    older_than_minutes: int = Field(60, ge=0, description="Age in minutes from which a temporary thing is an orphan.")


class Remedies(Strict):
    """What follows on each kind of drift."""

    infrastructure: Remedy = Field("report", description="Resources that are not as Terraform declares them.")
    image: Remedy = Field("report", description="Fleets whose registry, template and instances name different images.")
    posture: Remedy = Field("report", description="Fleets that are open, old or undeclared, as by port 22.")


class Drift(Strict):
    """What counts as drift, and what follows."""

    max_instance_age_days: float = Field(90, gt=0, description="Age in days from which an instance is too old.")
    concurrent_plans: int = Field(4, ge=1, le=32, description="Fleets that Terraform plans at the same time.")
    approval_minutes: float = Field(45, gt=0, description="Minutes for which a repair waits for approval.")
    remediate: Remedies = Remedies()


class Policy(Strict):
    """All of it, for one environment."""

    outdated_after_days: float = Field(
        0, ge=0, description="Days that a service may stay on the base before the newest without being outdated."
    )
    concurrent_bakes: int = Field(4, ge=1, le=64, description="Slots of the pool that bakes share.")
    retirement: Retirement = Retirement()
    orphans: Orphans = Orphans()
    drift: Drift = Drift()
