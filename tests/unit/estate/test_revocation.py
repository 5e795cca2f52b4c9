"""Which images a revocation reaches, what an undo lifts, and which release is the nearest safe one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rebake import tags
from rebake.estate import revocation
from rebake.estate.revocation import Mark
from rebake.exceptions import ConfigError, ImageError
from tests.support.releases import record

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AT = "2026-03-01T12:00:00Z"
BASE, APP, LATER, OTHER = "ami-0000000b", "ami-0000000a", "ami-0000001a", "ami-0000002a"

Images = revocation.ImageTags


@pytest.fixture
def images() -> Images:
    """Return a base, two images on it, one of them below the other, and one on another base."""
    return {
        BASE: {tags.BASE_AMI: "ami-0000vendor"},
        APP: {tags.BASE_AMI: BASE},
        LATER: {tags.BASE_AMI: APP},
        OTHER: {tags.BASE_AMI: "ami-0000other"},
    }


def _revoke(images: Images, ami_id: str, reason: str = "CVE-2026-1") -> Images:
    return revocation.applied(images, revocation.after_revoking(images, ami_id, reason, NOW))


def _undo(images: Images, ami_id: str) -> Images:
    return revocation.applied(images, revocation.after_undoing(images, ami_id))


def test_a_revocation_marks_the_image_and_everything_that_was_baked_on_it(images: Images) -> None:
    revoked = _revoke(images, BASE)

    assert revoked[BASE] == {**images[BASE], tags.REVOKED: "CVE-2026-1", tags.REVOKED_AT: AT}
    for ami in (APP, LATER):
        assert revoked[ami] == {**images[ami], tags.REVOKED: "CVE-2026-1", tags.REVOKED_AT: AT, tags.REVOKED_BY: BASE}
    assert revoked[OTHER] == images[OTHER]


def test_what_an_image_was_baked_on_is_not_revoked_with_it(images: Images) -> None:
    assert set(revocation.after_revoking(images, APP, "broken", NOW)) == {APP, LATER}


def test_an_undo_lifts_everything_that_the_revocation_marked(images: Images) -> None:
    assert _undo(_revoke(images, BASE), BASE) == images


def test_an_undo_of_the_base_leaves_an_image_that_was_revoked_on_its_own(images: Images) -> None:
    lifted = _undo(_revoke(_revoke(images, APP, "leaks a secret"), BASE), BASE)

    assert lifted == _revoke(images, APP, "leaks a secret")


def test_an_image_that_was_marked_with_its_base_can_be_revoked_on_its_own_afterwards(images: Images) -> None:
    lifted = _undo(_revoke(_revoke(images, BASE), APP, "leaks a secret"), BASE)

    assert revocation.marks(lifted) == {APP: Mark("leaks a secret", AT, APP), LATER: Mark("leaks a secret", AT, APP)}


def test_an_undo_of_an_image_on_a_revoked_base_leaves_it_revoked_by_the_base(images: Images) -> None:
    lifted = _undo(_revoke(_revoke(images, APP, "leaks a secret"), BASE), APP)

    assert lifted == _revoke(images, BASE)


def test_an_image_that_only_its_base_revokes_cannot_be_taken_back_by_itself(images: Images) -> None:
    with pytest.raises(ImageError, match=rf"{APP} was baked on {BASE}, which is revoked .*\. Undo that of"):
        revocation.after_undoing(_revoke(images, BASE), APP)


def test_revoking_again_for_the_same_reason_changes_nothing(images: Images) -> None:
    later = datetime(2026, 4, 1, tzinfo=UTC)

    assert revocation.after_revoking(_revoke(images, BASE), BASE, "CVE-2026-1", later) == {}


def test_another_reason_replaces_the_one_before_and_keeps_the_time(images: Images) -> None:
    again = revocation.after_revoking(_revoke(images, BASE), BASE, "CVE-2026-2", datetime(2026, 4, 1, tzinfo=UTC))

    assert again == dict.fromkeys((BASE, APP, LATER), Mark("CVE-2026-2", AT, BASE))


def test_undoing_what_is_not_revoked_changes_nothing(images: Images) -> None:
    assert revocation.after_undoing(images, BASE) == {}


def test_an_undo_that_was_broken_off_is_finished_by_the_next(images: Images) -> None:
    half_way = {**_revoke(images, BASE), BASE: images[BASE]}

    assert revocation.applied(half_way, revocation.after_undoing(half_way, BASE)) == images


def _without(images: Images, gone: str) -> Images:
    return {ami: labels for ami, labels in images.items() if ami != gone}


@pytest.mark.parametrize("gone", [BASE, APP])
def test_what_was_baked_on_a_revoked_base_stays_revoked_when_an_image_below_it_is_gone(
    images: Images, gone: str
) -> None:
    left = _without(_revoke(images, BASE), gone)
    unrelated = revocation.applied(left, revocation.after_revoking(left, OTHER, "something else", NOW))

    assert revocation.marks(unrelated)[LATER] == Mark("CVE-2026-1", AT, BASE)


@pytest.mark.parametrize("gone", [BASE, APP])
def test_an_undo_reaches_what_was_marked_although_an_image_below_it_is_gone(images: Images, gone: str) -> None:
    assert _undo(_without(_revoke(images, BASE), gone), BASE) == _without(images, gone)


def test_an_image_that_was_baked_while_its_base_was_revoked_is_revoked_without_a_tag(images: Images) -> None:
    revoked = {**_revoke(images, BASE), "ami-0000003a": {tags.BASE_AMI: BASE}}

    assert revocation.marks(revoked)["ami-0000003a"] == Mark("CVE-2026-1", AT, BASE)


def test_images_that_name_each_other_as_their_base_end_the_search() -> None:
    circle = {APP: {tags.BASE_AMI: LATER}, LATER: {tags.BASE_AMI: APP}}

    assert revocation.marks(circle) == {}


@pytest.mark.parametrize("change", [revocation.after_undoing, lambda i, a: revocation.after_revoking(i, a, "x", NOW)])
def test_an_image_that_is_not_ours_is_refused(images: Images, change: Any) -> None:
    with pytest.raises(ImageError, match="ami-0badbad0 is no image that Rebake made in this account and region"):
        change(images, "ami-0badbad0")


@pytest.mark.parametrize(
    ("ami_id", "reason", "said"),
    [
        pytest.param("webapp", "bad", "'webapp' is no image id", id="no image id"),
        pytest.param(APP, " \n ", f"give a reason for the revocation of {APP}", id="no reason"),
        pytest.param(APP, "x" * 257, "has 257 characters, and a tag holds 256", id="too long a reason"),
    ],
)
def test_a_revocation_that_cannot_be_written_down_is_refused(ami_id: str, reason: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        revocation.checked(ami_id, reason, undo=False)


def test_a_reason_of_several_lines_becomes_one() -> None:
    assert revocation.checked(f" {APP}\n", "CVE:\n  remote code", undo=False) == (APP, "CVE: remote code")


def test_an_undo_needs_no_reason() -> None:
    assert revocation.checked(APP, "", undo=True) == (APP, "")


def test_services_on_a_revoked_image_are_named_with_the_images(images: Images) -> None:
    revoked = revocation.marks(_revoke(images, BASE))

    found = revocation.services_on(revoked, {"webapp": [OTHER, APP, APP], "search": [OTHER], "jobs": [LATER]})

    assert found == {"jobs": [LATER], "webapp": [APP]}


def test_images_that_are_available_and_not_revoked_may_be_launched(images: Images) -> None:
    states = dict.fromkeys(images, "available")

    assert revocation.launchable(states | {OTHER: "disabled"}, {APP, LATER}) == {BASE}


def test_the_nearest_safe_release_is_the_newest_whose_image_may_be_launched() -> None:
    records = [record(1, "failed", ami_id=OTHER), *(record(1, ami_id=ami) for ami in (APP, OTHER, "ami-0000004a"))]

    assert revocation.nearest_safe(records, {OTHER, "ami-0000004a"}) == record(1, ami_id=OTHER)


def test_there_may_be_no_safe_release() -> None:
    assert revocation.nearest_safe([record(1, "rolled_back", ami_id=OTHER), record(1, ami_id=APP)], {OTHER}) is None
