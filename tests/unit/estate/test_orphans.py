"""What counts as left behind: whose it is, how old it is, and what keeps it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rebake import tags
from rebake.estate import orphans
from rebake.estate.orphans import PACKERS_GROUP, Lock, OrphanKind, ReapOutcome, ReapResult, Temporary

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD = NOW - timedelta(hours=2)
BUILDER = {tags.KIND: tags.KIND_BUILDER, tags.ENVIRONMENT: "local"}
PROBE = {tags.KIND: tags.KIND_PROBE, tags.ENVIRONMENT: "local"}
IMAGE = "rebake-webapp-1.2.3-0123456789ab-20260301100000"
PROBES = "rebake-probe-0123456789abcdef"


def _packers(made: datetime = OLD) -> str:
    return f"packer_{int(made.timestamp()):08x}-0123-4567-89ab-0123456789ab"


def _thing(kind: OrphanKind, name: str = "", labels: dict[str, str] | None = None, **more: Any) -> Temporary:
    return Temporary(**{"kind": kind, "id": "id-1", "name": name, "tags": labels or {}, "made": OLD, **more})


OURS = {
    "builder": _thing(OrphanKind.INSTANCE, labels=BUILDER),
    "probe": _thing(OrphanKind.INSTANCE, labels=PROBE),
    "before environments were tagged": _thing(OrphanKind.INSTANCE, labels={tags.KIND: tags.KIND_PROBE}),
    "volume": _thing(OrphanKind.VOLUME, labels=BUILDER),
    "Packer's key pair, which has no tags": _thing(OrphanKind.KEY_PAIR, _packers()),
    "newer Packer's key pair": _thing(OrphanKind.KEY_PAIR, _packers(), BUILDER),
    "Packer's group, which has no tags": _thing(OrphanKind.SECURITY_GROUP, _packers(), description=PACKERS_GROUP),
    "probe's group": _thing(OrphanKind.SECURITY_GROUP, PROBES, PROBE),
    "image that Packer had not tagged yet": _thing(OrphanKind.IMAGE, IMAGE),
    "image with its builder's tags": _thing(OrphanKind.IMAGE, IMAGE, BUILDER),
    "builder's snapshot": _thing(OrphanKind.SNAPSHOT, labels=BUILDER),
}


@pytest.mark.parametrize("thing", OURS.values(), ids=OURS)
def test_what_bakes_and_tests_make_is_ours(thing: Temporary) -> None:
    assert orphans.is_ours(thing, "local")
    assert orphans.reason_to_stay(thing, now=NOW, older_than=HOUR) == ""


FLEET = {tags.KIND: tags.KIND_FLEET, tags.ENVIRONMENT: "local"}


OTHERS = {
    "a fleet's instance": _thing(OrphanKind.INSTANCE, labels=FLEET),
    "an instance that is only called so": _thing(OrphanKind.INSTANCE, "rebake builder webapp"),
    "another environment's": _thing(OrphanKind.INSTANCE, labels={**BUILDER, tags.ENVIRONMENT: "other"}),
    "a stranger's volume": _thing(OrphanKind.VOLUME),
    "a key pair that is called nearly so": _thing(OrphanKind.KEY_PAIR, "packer_key"),
    "a key pair in capitals": _thing(OrphanKind.KEY_PAIR, _packers().upper()),
    "a key pair that is called so and more": _thing(OrphanKind.KEY_PAIR, f"{_packers()}-mine"),
    "a key pair of another Packer": _thing(OrphanKind.KEY_PAIR, _packers(), {"team": "b"}),
    "a group described differently": _thing(OrphanKind.SECURITY_GROUP, _packers(), description="mine"),
    "a fleet's group": _thing(OrphanKind.SECURITY_GROUP, "webapp-local", FLEET),
    "a probe's group without its tags": _thing(OrphanKind.SECURITY_GROUP, PROBES),
    "a group of another name": _thing(OrphanKind.SECURITY_GROUP, "default", BUILDER),
    "a finished image": _thing(OrphanKind.IMAGE, IMAGE, {tags.KIND: tags.KIND_APP_IMAGE}),
    "an image that was released": _thing(OrphanKind.IMAGE, IMAGE, {tags.RELEASE: "webapp-1"}),
    "an image that is called nearly so": _thing(OrphanKind.IMAGE, "rebake-golden"),
    "an image of another name": _thing(OrphanKind.IMAGE, "debian-12", BUILDER),
    "an image's snapshot": _thing(OrphanKind.SNAPSHOT, labels={tags.KIND: tags.KIND_APP_IMAGE}),
}


@pytest.mark.parametrize("thing", OTHERS.values(), ids=OTHERS)
def test_what_others_made_is_never_ours(thing: Temporary) -> None:
    assert not orphans.is_ours(thing, "local")


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        pytest.param(_thing(OrphanKind.INSTANCE, made=NOW - timedelta(minutes=59)), "59 minutes old", id="young"),
        pytest.param(_thing(OrphanKind.INSTANCE, made=NOW + HOUR), "-60 minutes old", id="made in the future"),
        pytest.param(_thing(OrphanKind.KEY_PAIR, users=("i-1", "i-2")), "in use by i-1, i-2", id="in use"),
        pytest.param(_thing(OrphanKind.SECURITY_GROUP, made=None), "its age is unknown", id="of unknown age"),
        pytest.param(_thing(OrphanKind.IMAGE, state="pending"), "AWS is still making it", id="still being made"),
    ],
)
def test_what_is_young_or_used_or_not_understood_stays(thing: Temporary, why: str) -> None:
    assert orphans.reason_to_stay(thing, now=NOW, older_than=HOUR).startswith(why)


def test_the_age_is_known_from_the_time_that_packer_writes_into_its_names() -> None:
    assert orphans.made_at(_packers(OLD), {}) == OLD


def test_the_age_of_a_probes_group_is_known_from_its_tag() -> None:
    assert orphans.made_at(PROBES, {tags.CREATED_AT: "2026-03-01T10:00:00Z"}) == OLD


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        pytest.param(PROBES, {}, id="no tag"),
        pytest.param(PROBES, {tags.CREATED_AT: "yesterday"}, id="a tag that is no time"),
        pytest.param("packer_00000001-0123-4567-89ab-0123456789ab", {}, id="a time before Packer"),
    ],
)
def test_an_unknown_age_is_none(name: str, labels: dict[str, str]) -> None:
    assert orphans.made_at(name, labels) is None


def test_only_old_locks_are_reported() -> None:
    old, young = Lock("terraform/a.tflock", OLD, "ada"), Lock("terraform/b.tflock", NOW, "bob")

    assert orphans.stale([old, young], now=NOW, older_than=HOUR) == [old]


def _report(*results: ReapResult, dry_run: bool = False) -> Any:
    lock = Lock("terraform/webapp-local.tfstate.tflock", OLD, "ada")
    return orphans.report(
        results, [lock], environment="local", region="eu-west-1", now=NOW, dry_run=dry_run, older_than=HOUR
    )


def test_the_report_names_what_went_what_stays_and_why() -> None:
    report = _report(
        ReapResult(_thing(OrphanKind.INSTANCE), ReapOutcome.REMOVED, ""),
        ReapResult(_thing(OrphanKind.VOLUME), ReapOutcome.FAILED, "UnauthorizedOperation"),
        ReapResult(_thing(OrphanKind.KEY_PAIR), ReapOutcome.KEPT, "in use by i-1"),
    )

    assert report.title == "Removed 1 orphans; 1 could not be removed; 1 old locks"
    assert (report.summary["instance"], report.summary["kept"], report.summary["failed"]) == (1, 1, 1)
    for part in ("UnauthorizedOperation", "in use by i-1", "terraform/webapp-local.tfstate.tflock"):
        assert part in report.to_text()


def test_a_dry_run_says_that_it_removed_nothing() -> None:
    assert _report(ReapResult(_thing(OrphanKind.INSTANCE), ReapOutcome.DRY, ""), dry_run=True).title.startswith(
        "Would remove 1"
    )
