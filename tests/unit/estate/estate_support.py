"""Estates for tests: small ones, in which everything is well unless a test says otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rebake import tags
from rebake.config.policy import Retirement
from rebake.estate.inventory import Channel, Estate, Fleet, Image, Instance, Template, TemplateVersion
from rebake.estate.retirement.protection import Situation

NOW = datetime(2026, 6, 1, 4, 30, tzinfo=UTC)
ACCOUNT = "123456789012"
POLICY = Retirement(dry_run=False)
SITUATION = Situation(environment="local", account=ACCOUNT, now=NOW, declared=frozenset({"webapp"}))


def ago(days: float) -> datetime:
    """Return the moment so many days before now."""
    return NOW - timedelta(days=days)


def image(ami_id: str = "ami-old", days: float = 400, **changes: Any) -> Image:
    """Return a finished, available image of webapp in the environment `local`, of that age, never released.

    Args:
        ami_id: its id.
        days: its age.
        **changes: other fields; `tags` are laid over the usual ones, and one of value None is left out.
    """
    labels = {
        tags.KIND: tags.KIND_APP_IMAGE,
        tags.SERVICE: "webapp",
        tags.ENVIRONMENT: "local",
        tags.FINGERPRINT: "f" * 64,
        **changes.pop("tags", {}),
    }
    made = Image(
        id=ami_id,
        name=f"rebake-webapp-{ami_id}",
        state="available",
        created=ago(days).isoformat().replace("+00:00", "Z"),
        tags={key: value for key, value in labels.items() if value is not None},
        snapshots=(f"snap-{ami_id}",),
        owner=ACCOUNT,
    )
    return replace(made, **changes)


def released(ami_id: str, days: float, **changes: Any) -> Image:
    """Return an image that was released so many days ago, and made an hour before."""
    release = {tags.RELEASE: f"webapp-{ago(days):%Y%m%dT%H%M%S}-1.0.0"}
    return image(ami_id, days + 1 / 24, **{**changes, "tags": {**release, **changes.get("tags", {})}})


def instance(ami_id: str, state: str = "running", **changes: Any) -> Instance:
    """Return an instance of an image."""
    return replace(Instance(id=f"i-{ami_id}", ami_id=ami_id, state=state, launched=ago(1)), **changes)


def template(*ami_ids: str, default: int = 1, template_id: str = "lt-webapp", ours: bool = True) -> Template:
    """Return a launch template whose versions, from 1 on, name these images."""
    versions = [
        TemplateVersion(number, ami_id, number == default, ago(1)) for number, ami_id in enumerate(ami_ids, start=1)
    ]
    labels = {tags.KIND: tags.KIND_FLEET, tags.SERVICE: "webapp", tags.ENVIRONMENT: "local"} if ours else {}
    return Template(template_id, template_id, labels, tuple(reversed(versions)))


def fleet(version: str = "1", **changes: Any) -> Fleet:
    """Return the fleet of webapp, on a version of its template, without instances."""
    labels = {tags.KIND: tags.KIND_FLEET, tags.SERVICE: "webapp", tags.ENVIRONMENT: "local"}
    made = Fleet(
        group_name="webapp-local",
        service="webapp",
        template_id="lt-webapp",
        launch_template_version=version,
        tags=labels,
        desired=0,
        instance_ids=(),
    )
    return replace(made, **changes)


def estate(*images: Image, **changes: Any) -> Estate:
    """Return an estate with these images, and with webapp's fleet on an image of its own."""
    made = Estate(
        images=images,
        instances=(),
        templates=(template("ami-runs"),),
        fleets=(fleet(),),
        channels=(Channel("/rebake/webapp", "current", "ami-runs"),),
    )
    return replace(made, **changes)
