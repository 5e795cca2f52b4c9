"""Findings, and what has changed since the last scan."""

from rebake.estate.drift.finding import Change, Finding
from tests.unit.estate.drift.drift_support import DELAY, OTHERS, ROLLING, SSH


def test_the_first_scan_finds_everything_new() -> None:
    change = Change.since((), [DELAY, SSH], [])

    assert set(change.new) == {DELAY.id, SSH.id}
    assert change


def test_a_drift_that_is_gone_is_a_change_as_well() -> None:
    change = Change.since([DELAY.id, SSH.id], [SSH], [])

    assert (change.new, change.fixed) == ((), (DELAY.id,))


def test_the_same_drift_again_is_no_change_whatever_its_value_has_become() -> None:
    later = Finding(**{**DELAY.__dict__, "found": "90"})

    assert not Change.since([DELAY.id], [later], [])


def test_what_could_not_be_scanned_still_stands_and_is_neither_fixed_nor_new_again() -> None:
    rolling = Change.since([DELAY.id, OTHERS.id], [OTHERS], [ROLLING])
    after = Change.since(rolling.known, [DELAY, OTHERS], [])

    assert not rolling
    assert not after


def test_a_part_covers_its_own_service_and_kind_only() -> None:
    change = Change.since([DELAY.id, OTHERS.id, SSH.id], [], [ROLLING])

    assert set(change.fixed) == {OTHERS.id, SSH.id}
