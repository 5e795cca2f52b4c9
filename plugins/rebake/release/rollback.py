"""Which release a rollback returns to. Plain functions over release records, newest first."""

from collections.abc import Callable, Collection, Sequence

from rebake.exceptions import ConfigError
from rebake.release.record import ReleaseRecord

_NAMED = 5
"""How many releases a message names."""


def successful(records: Sequence[ReleaseRecord]) -> list[ReleaseRecord]:
    """Return the releases that succeeded, newest first: those whose image the service ran, or runs."""
    return [record for record in records if record.is_successful]


def origin(records: Sequence[ReleaseRecord], record: ReleaseRecord) -> ReleaseRecord:
    """Return the deployment that first brought the image of a release: for a rollback, the one it returned to."""
    by_id = {one.release_id: one for one in records}
    seen: set[str] = set()
    while record.restores in by_id and record.release_id not in seen:
        seen.add(record.release_id)
        record = by_id[record.restores]
    return record


def before(records: Sequence[ReleaseRecord], record: ReleaseRecord) -> ReleaseRecord | None:
    """Return the deployment whose image the service ran before that of a release; none if there was none.

    Rolling back twice goes back two releases, and never forth to the one that was rolled back first: what counts is
    what ran before the deployment that a rollback returned to, not what ran before the rollback.
    """
    first = origin(records, record)
    older = records[records.index(first) + 1 :]
    found = (origin(records, one) for one in older)
    return next((one for one in found if one.ami_id != record.ami_id), None)


def default(
    service: str, records: Sequence[ReleaseRecord], images: Collection[str], deployment: str
) -> tuple[ReleaseRecord, str]:
    """Return the release to return to when none is named, and why it is that one.

    Args:
        service: name of the service.
        records: the service's records, newest first.
        images: what its fleet runs, or would launch next.
        deployment: the run of a deployment that holds the lease; empty if there is none.

    Raises:
        ConfigError: there is no such release.
    """
    known = successful(records)
    if not known:
        raise ConfigError(f"{service} has no release to roll back to: none has ever succeeded")
    current = origin(known, known[0])
    if deployment:
        return current, f"{deployment} is replacing the current release"
    if set(images) != {current.ami_id}:
        others = ", ".join(sorted(set(images) - {current.ami_id})) or "nothing"
        return current, f"the fleet runs {others} besides the current release"
    previous = before(known, known[0])
    if previous is None:
        why = ": nothing to roll back to"
        if known[0].restores:
            why = ", which rolled back from what came after it: to go forward again, name a release"
        raise ConfigError(f"{service} has no release before {known[0].release_id}, its current one{why}")
    return previous, f"the one before {known[0].release_id}"


def named(
    service: str, records: Sequence[ReleaseRecord], wanted: str, launchable: Callable[[], Collection[str]]
) -> ReleaseRecord:
    """Return the newest successful release that `wanted` names, by its id, its version or its image.

    Args:
        service: name of the service.
        records: the service's records, newest first.
        wanted: the id, version or image.
        launchable: returns the images that are available and not revoked; called for an error message only.

    Raises:
        ConfigError: no release has that name, or it never succeeded; with the releases that can be returned to.
    """
    is_wanted: Callable[[ReleaseRecord], bool] = lambda record: (  # noqa: E731
        wanted in (record.release_id, record.version, record.ami_id)
    )
    known = successful(records)
    found = next(filter(is_wanted, known), None)
    if found is not None:
        return origin(known, found)
    failed = next(filter(is_wanted, records), None)
    if failed is not None:
        raise ConfigError(
            f"release {failed.release_id} of {service} is {failed.outcome}"
            f"{': ' + failed.reason if failed.reason else ''}; only one that succeeded can be returned to. "
            f"{_choice(known, launchable)}"
        )
    raise ConfigError(
        f"{service} has no release {wanted!r}, neither by id nor by version nor by image. {_choice(known, launchable)}"
    )


def _choice(known: Sequence[ReleaseRecord], launchable: Callable[[], Collection[str]]) -> str:
    if not known:
        return "None has ever succeeded"
    images = launchable()
    usable = [f"{record.release_id} ({record.ami_id})" for record in known if record.ami_id in images]
    unusable = len(known) - len(usable)
    omitted = f" ({unusable} omitted: image gone or revoked)" if unusable else ""
    return f"There are: {', '.join(usable[:_NAMED]) or 'none'}{omitted}"
