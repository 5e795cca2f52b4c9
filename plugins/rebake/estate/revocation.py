"""Which images may not be released any more: those that were revoked, and all that were baked on them.

A revocation is a statement on one image, written to its tags. That its descendants are revoked follows from
`rebake:base-ami`; their tags only repeat it, with `rebake:revoked-by`, for whoever inspects one image. So marks are
always derived anew from the statements: an undo lifts what follows from it and nothing else, and an image that was
baked while its base was being revoked is revoked although nobody has marked it yet.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rebake import tags
from rebake.estate.inventory import Estate
from rebake.exceptions import ConfigError, ImageError
from rebake.release.record import ReleaseRecord

LONGEST_REASON: Final = 256
"""Characters that AWS keeps of a tag's value."""

ImageTags = Mapping[str, Mapping[str, str]]
"""The tags of images by image id."""

TAGS: Final = (tags.REVOKED, tags.REVOKED_AT, tags.REVOKED_BY)
"""What a mark consists of."""


@dataclass(frozen=True)
class Mark:
    """Why an image may not be released."""

    reason: str
    at: str
    """When it was revoked; UTC in ISO 8601."""
    by: str
    """The image that was revoked: itself, or the nearest one below it."""

    def labels(self, ami_id: str) -> dict[str, str]:
        """Return the tags that hold the mark on an image."""
        labels = {tags.REVOKED: self.reason, tags.REVOKED_AT: self.at}
        return labels if ami_id == self.by else {**labels, tags.REVOKED_BY: self.by}

    def message_for(self, ami_id: str) -> str:
        """Return the reason as the end of a sentence that begins with the image."""
        whose = "is revoked" if ami_id == self.by else f"was baked on {self.by}, which is revoked"
        return f"{whose} since {self.at}: {self.reason}"


Changes = Mapping[str, Mark | None]
"""The mark that each image is to have; none to lift the one that it has. What is not named stays as it is."""


def checked(ami_id: str, reason: str, *, undo: bool) -> tuple[str, str]:
    """Return image id and reason as they are used: without space around them, the reason in one line.

    Raises:
        ConfigError: the id is none, or the reason is missing or longer than a tag.
    """
    ami_id, reason = ami_id.strip(), " ".join(reason.split())
    if not re.fullmatch(r"ami-[0-9a-f]{8,17}", ami_id):
        raise ConfigError(f"{ami_id!r} is no image id; give one such as ami-0123456789abcdef0")
    if undo:
        return ami_id, reason
    if not reason:
        raise ConfigError(f"give a reason for the revocation of {ami_id}: whoever is refused the image reads it")
    if len(reason) > LONGEST_REASON:
        raise ConfigError(
            f"the reason has {len(reason)} characters, and a tag holds {LONGEST_REASON}: shorten it, or give a link"
        )
    return ami_id, reason


def marks(images: ImageTags) -> dict[str, Mark]:
    """Return the mark of each image that is revoked, or that descends from one that is."""
    return _derived(images, _statements(images))


def _statements(images: ImageTags) -> dict[str, Mark]:
    """Return the statements in the images' own tags, without those that follow from another image's.

    A mark by an image that cannot be reached any more, because it or one between was deregistered, stands for itself:
    what was baked on a bad base stays bad when the base is gone.
    """
    found: dict[str, Mark] = {}
    for ami_id, labels in images.items():
        by = labels.get(tags.REVOKED_BY, ami_id)
        if tags.REVOKED in labels and (by == ami_id or by not in _lineage(images, ami_id)):
            found[ami_id] = Mark(labels[tags.REVOKED], labels.get(tags.REVOKED_AT, "(unknown)"), by)
    return found


def _derived(images: ImageTags, statements: Mapping[str, Mark]) -> dict[str, Mark]:
    found = {
        ami_id: next((statements[one] for one in _lineage(images, ami_id) if one in statements), None)
        for ami_id in images
    }
    return {ami_id: mark for ami_id, mark in found.items() if mark is not None}


def _lineage(images: ImageTags, ami_id: str) -> list[str]:
    """Return an image and those that it was baked on, the nearest first, as far as they are known."""
    found: list[str] = []
    while ami_id in images and ami_id not in found:
        found.append(ami_id)
        ami_id = images[ami_id].get(tags.BASE_AMI, "")
    return found


def after_revoking(images: ImageTags, ami_id: str, reason: str, now: datetime) -> Changes:
    """Return the changes by which an image and its descendants become revoked.

    Nothing changes if it is revoked for that reason already; another reason replaces the one before.

    Args:
        images: every image of ours.
        ami_id: the image.
        reason: why.
        now: UTC.

    Raises:
        ImageError: the image is not one of ours.
    """
    if ami_id not in images:
        raise _not_ours(ami_id)
    statements = _statements(images)
    before = statements.get(ami_id)
    at = before.at if before and before.by == ami_id else f"{now:%Y-%m-%dT%H:%M:%SZ}"
    return _changes(images, statements | {ami_id: Mark(reason, at, ami_id)})


def after_undoing(images: ImageTags, ami_id: str) -> Changes:
    """Return the changes that undo an image's revocation.

    Descendants that were revoked on their own stay revoked; so do those that descend from another revoked image. The
    image itself may be gone.

    Raises:
        ImageError: the image is not one of ours, or is revoked only because it was baked on one that is.
    """
    statements = _statements(images)
    others = {one: mark for one, mark in statements.items() if mark.by != ami_id}
    if ami_id not in images and others == statements:
        raise _not_ours(ami_id)
    mark = _derived(images, statements).get(ami_id)
    if mark is not None and mark.by != ami_id:
        raise ImageError(f"{ami_id} {mark.message_for(ami_id)}. Undo that of {mark.by}, or bake anew on another base")
    return _changes(images, others)


def _not_ours(ami_id: str) -> ImageError:
    return ImageError(
        f"{ami_id} is no image that Rebake made in this account and region: "
        "only images with the tag rebake:kind can be revoked, because only they are ever released"
    )


def _changes(images: ImageTags, statements: Mapping[str, Mark]) -> Changes:
    wanted = _derived(images, statements)
    changes: dict[str, Mark | None] = {}
    for ami_id, labels in images.items():
        mark = wanted.get(ami_id)
        if {key: labels[key] for key in TAGS if key in labels} != (mark.labels(ami_id) if mark else {}):
            changes[ami_id] = mark
    return changes


def applied(images: ImageTags, changes: Changes) -> ImageTags:
    """Return the images' tags as they are once the changes are made."""
    return {ami_id: _relabelled(ami_id, images[ami_id], changes) for ami_id in images}


def _relabelled(ami_id: str, labels: Mapping[str, str], changes: Changes) -> Mapping[str, str]:
    if ami_id not in changes:
        return labels
    mark = changes[ami_id]
    others = {key: value for key, value in labels.items() if key not in TAGS}
    return others | mark.labels(ami_id) if mark else others


def services_on(revoked: Mapping[str, Mark], running: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the services that run a revoked image, with those images.

    Args:
        revoked: the marks, by image.
        running: the images that each service's fleet runs or would launch, by service.
    """
    found = {service: sorted({ami for ami in images if ami in revoked}) for service, images in running.items()}
    return {service: images for service, images in sorted(found.items()) if images}


def launchable(states: Mapping[str, str], revoked: Collection[str]) -> set[str]:
    """Return the images that are available and not revoked.

    Args:
        states: EC2's state of each image, by id.
        revoked: ids of the images that are revoked, or descend from one that is.
    """
    return {ami_id for ami_id, state in states.items() if state == "available" and ami_id not in revoked}


def nearest_safe(records: Iterable[ReleaseRecord], safe: Collection[str]) -> ReleaseRecord | None:
    """Return the newest release that succeeded and whose image is safe to launch; none if there is none.

    Args:
        records: a service's release records, newest first; no more are taken than needed.
        safe: ids of the images that are `launchable`.
    """
    return next((record for record in records if record.is_successful and record.ami_id in safe), None)


def advice(service: str, safe: ReleaseRecord | None) -> str:
    """Return the sentence that names what to release instead, for whoever is refused an image.

    Args:
        service: name of the service.
        safe: the record of its nearest safe release, if there is one.
    """
    if safe is None:
        return f"No release of {service} is safe: deploy a new version, or one anew with force_bake"
    return (
        f"The nearest safe release of {service} is {safe.release_id} (version {safe.version}, {safe.ami_id}): "
        f"roll back to that one, or deploy a new version"
    )


def running(estate: Estate, environment: str) -> dict[str, set[str]]:
    """Return the images that each service's fleets run or would launch next, by service, in one environment."""
    found: dict[str, set[str]] = {}
    for fleet in estate.our_fleets:
        if fleet.environment == environment:
            instances = (estate.instances_by_id.get(one) for one in fleet.instance_ids)
            images = {one.ami_id for one in instances if one} | {estate.template_image(use) for use in fleet.templates}
            found.setdefault(fleet.service, set()).update(images - {""})
    return found


def lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the result of a revocation, or of its undo, as lines for people.

    Args:
        summary: what the task `revoke_image` returns.
    """
    ami_id = summary["ami_id"]
    yield f"{ami_id} {summary['mark'] or 'is not revoked'}"
    for done, images in (("marked", summary["marked"]), ("lifted", summary["lifted"])):
        if images:
            yield f"  {done} {len(images)}: {', '.join(images)}"
    if not summary["marked"] and not summary["lifted"]:
        yield "  every image was already marked: nothing changed"
    for name in summary["bases"]:
        yield f"  {name} names a revoked base: nothing is baked on it until rebuild_base_image has made another"
    for service, found in summary["services"].items():
        yield f"  {service} runs {', '.join(found['images'])}. {found['advice']}"
