"""What keeps an image from being retired, whatever its age: that it is used, needed, not ours, or not understood.

Plain functions over the estate. Each answers for one image with a reason, or with nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from rebake import tags
from rebake.estate.inventory import Estate, Fleet, Image, Template
from rebake.image.channels import CURRENT

SKEW: Final = timedelta(minutes=5)
"""By which AWS lets two clocks differ."""
RETIRABLE_STATES: Final = frozenset({"available", "disabled"})
_NEEDED: Final = (tags.SERVICE, tags.ENVIRONMENT, tags.FINGERPRINT)
"""Tags that every image of ours has had from its first moment; the environment's came last."""


@dataclass(frozen=True)
class Situation:
    """What is known beside the estate's own resources.

    Attributes:
        environment: the one whose images are retired.
        account: the account that these images belong to.
        now: the time, UTC.
        young: an image younger than this may still be between its bake and its first channel.
        promoted: when a base image last became its family's current one.
        held: images of releases in progress, with the release.
        without_fleet: services whose fleet was taken down on purpose.
        declared: services that have a file.
    """

    environment: str
    account: str
    now: datetime
    young: timedelta = timedelta(hours=1)
    promoted: Mapping[str, datetime] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    without_fleet: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Snapshot:
    """A snapshot with the tags of a finished image of ours, as DescribeSnapshots shows it."""

    id: str
    tags: Mapping[str, str]
    started: datetime


def foreign(image: Image, situation: Situation) -> str:
    """Return why an image is none of this environment's; empty if it is."""
    if tags.KIND not in image.tags:
        return f"Rebake did not make it: it has no tag {tags.KIND}"
    if image.owner != situation.account:
        return f"it belongs to account {image.owner or '(unknown)'}"
    missing = [tag for tag in _NEEDED if not image.tags.get(tag)]
    if not image.is_finished:
        return f"its bake was not finished: {tags.KIND} is {image.tags[tags.KIND]!r}"
    if missing:
        return f"its tags are incomplete: no {', '.join(missing)}"
    if image.tags[tags.ENVIRONMENT] != situation.environment:
        return f"it belongs to the environment {image.tags[tags.ENVIRONMENT]}"
    return ""


def unready(image: Image, situation: Situation) -> str:
    """Return why an image is not to be judged yet; empty if it is."""
    if image.state not in RETIRABLE_STATES:
        return f"its state is {image.state or '(unknown)'}"
    try:
        age = situation.now - image.created_at
    except ValueError:
        return f"when it was made is not understood: {image.created!r}"
    if age < -SKEW:
        return f"it was made in the future, at {image.created}: clocks differ"
    if age < situation.young:
        return f"it was made {max(age, timedelta(0)).total_seconds() / 60:.0f} minutes ago"
    return ""


def in_use(estate: Estate) -> dict[str, str]:
    """Return every image that something uses or names, with one reason each. Instances come first."""
    found: dict[str, str] = {}
    for ami_id, why in _uses(estate):
        found.setdefault(ami_id, why)
    return found


def shared(image: Image) -> str:
    """Return why somebody elsewhere may need an image, as far as DescribeImages shows; empty if it does not."""
    if image.public:
        return "it is public"
    if image.tags.get(tags.COPIED_TO):
        return f"it was copied to {image.tags[tags.COPIED_TO]}"
    if image.locked:
        return "it is protected against deregistration"
    return ""


def orphans(snapshots: Iterable[Snapshot], estate: Estate, situation: Situation) -> Iterator[Snapshot]:
    """Yield the environment's snapshots that no image is made of: what a deregistration that broke off has left."""
    used = {snapshot for image in estate.images for snapshot in image.snapshots}
    for snapshot in snapshots:
        ours = snapshot.tags.get(tags.ENVIRONMENT) == situation.environment
        if ours and snapshot.id not in used and situation.now - snapshot.started > situation.young:
            yield snapshot


def blind_spots(estate: Estate, situation: Situation) -> list[str]:
    """Return what AWS should have listed and did not: with one blind spot, an image that seems unused may be in use.

    A service is known to have a fleet when its channel `current` is set, or an image of it was released.
    """
    fleets = {fleet.service for fleet in estate.our_fleets}
    missing = sorted(_known_services(estate) - fleets - situation.without_fleet)
    found = [
        f"no Auto Scaling group of service {service} was found; if it was taken down on purpose, add the service to "
        "policy.retirement.without_fleet of the environment"
        for service in missing
    ]
    for fleet in estate.our_fleets:
        unseen = sorted(set(fleet.instance_ids) - estate.instances_by_id.keys())
        if unseen:
            found.append(f"group {fleet.group_name} has instances that EC2 did not list: {', '.join(unseen)}")
        found += [
            f"group {fleet.group_name} launches version {use.version} of {use.template_id}, which EC2 did not list"
            for use in fleet.templates
            if not estate.template_image(use)
        ]
    return found


def undeclared(estate: Estate, situation: Situation) -> list[Fleet]:
    """Return the environment's fleets whose service has no file: they keep running until a person decides."""
    fleets = (fleet for fleet in estate.our_fleets if fleet.environment == situation.environment)
    return [fleet for fleet in fleets if fleet.service not in situation.declared]


def _known_services(estate: Estate) -> set[str]:
    with_current = {one.service for one in estate.channels if one.channel == CURRENT}
    released = {
        image.tags.get(tags.SERVICE, "")
        for image in estate.images
        if tags.RELEASE in image.tags and image.tags.get(tags.KIND) == tags.KIND_APP_IMAGE
    }
    return (with_current | released) - {""}


def _uses(estate: Estate) -> Iterator[tuple[str, str]]:
    for instance in estate.instances:
        where = f" of group {instance.group_name}" if instance.group_name else ""
        state = f"{instance.state}, {instance.lifecycle}" if instance.lifecycle else instance.state
        yield instance.ami_id, f"instance {instance.id}{where} runs it ({state})"
    for fleet in estate.fleets:
        for use in fleet.templates:
            yield estate.template_image(use), f"group {fleet.group_name} launches it"
    for template in estate.templates:
        yield from _named(template)
    for channel in estate.channels:
        yield channel.ami_id, f"{channel.name}/{channel.channel} points at it"
    for image in estate.images:
        if image.copied_from:
            yield image.copied_from, f"{image.id} is a copy of it"


def _named(template: Template) -> Iterator[tuple[str, str]]:
    for what, version in (("$Default", template.default), ("$Latest", template.latest)):
        if version:
            yield version.ami_id, f"{what} (version {version.number}) of launch template {template.name} names it"
