"""Lineage: a release is found from any end of it, and is told as a chain."""

import pytest

from rebake.release import lineage
from rebake.release.record import ReleaseOutcome, ReleaseRecord
from tests.support.releases import COMMIT, record


@pytest.mark.parametrize(
    ("of", "kind"),
    [
        (COMMIT, "commit"),
        (COMMIT[:7], "commit"),
        ("77", "build"),
        ("1.1.0", "version"),
        ("webapp-20261123T183001-1.1.0", "release"),
        ("f" * 12, "fingerprint"),
        ("ami-0ba5e", "base image"),
        ("ami-01", "image"),
        ("i-9", "test instance"),
        ("lt-1:1", "launch template"),
        ("refresh-1", "refresh"),
        ("i-1a", "instance before"),
        ("i-1c", "instance after"),
        ("deploy_webapp/manual__1", "run"),
    ],
)
def test_a_release_is_found_from_every_end_of_it(of: str, kind: str) -> None:
    assert lineage.matches(record(), of) == [kind]


@pytest.mark.parametrize("of", ["0a1b2c", "ami-0", "1.1", "i-1", "webapp", "refresh", ""])
def test_part_of_a_name_is_no_name(of: str) -> None:
    assert lineage.matches(record(), of) == []


def test_a_run_that_was_given_a_short_commit_is_found_by_the_whole_one() -> None:
    assert lineage.matches(record(commit=COMMIT[:8]), COMMIT) == ["commit"]


def test_all_releases_that_name_a_thing_are_found_in_order() -> None:
    found = lineage.find([record(3), record(2), record(1)], "ami-0ba5e")

    assert [one.version for one, _ in found] == ["1.3.0", "1.2.0", "1.1.0"]


def test_an_empty_field_is_not_found() -> None:
    """A record without a commit must not match every commit."""
    assert lineage.matches(record(commit=""), "abcdefgh") == []


def test_the_chain_leads_from_the_commit_to_the_instances_and_the_channels() -> None:
    drawn = list(lineage.lines(lineage.tree(record())))

    assert drawn == [
        (
            "release webapp-20261123T183001-1.1.0  successful  (deploy, requested by ada at 2026-11-23T18:30:01+00:00, "
            "run deploy_webapp/manual__1)"
        ),
        f"└─ commit {COMMIT} (build 77)",
        "   └─ version 1.1.0 of webapp",
        f"      └─ fingerprint {'f' * 64}",
        "         ├─ Packer template version 1",
        "         ├─ base image ami-0ba5e",
        "         └─ image ami-01",
        "            ├─ test report: 1 of 1 checks passed on i-9 in 3.5 s",
        "            └─ launch template lt-1 version 1",
        "               └─ refresh refresh-1 Successful",
        "                  ├─ instances before: i-1a",
        "                  ├─ instances after: i-1b, i-1c",
        "                  └─ channels: candidate ami-01, current ami-01, previous (unset)",
    ]


def test_a_rollback_names_the_release_that_it_returns_to() -> None:
    drawn = "\n".join(lineage.lines(lineage.tree(record(kind="rollback", restores="webapp-x", reused=True))))

    assert "├─ returns to release webapp-x" in drawn
    assert "image ami-01 (existed already)" in drawn


def test_a_run_that_failed_early_says_why_and_how_far_it_came() -> None:
    known = record().model_dump(
        include={"release_id", "kind", "service", "environment", "version", "requested_at", "requested_by", "dag_run"}
    )
    failed = ReleaseRecord(
        **known,
        outcome=ReleaseOutcome.FAILED,
        finished_at=known["requested_at"],
        stage="bake",
        reason="artifact",
        explanation="no such file",
    )
    drawn = list(lineage.lines(lineage.tree(failed)))

    assert "├─ failed at bake: artifact: no such file" in drawn
    assert "└─ commit (not given)" in drawn
    assert [line.strip("│├└─ ") for line in drawn[-6:]] == [
        "test report (not reached)",
        "launch template (not reached)",
        "refresh (not reached)",
        "instances before: none",
        "instances after: none",
        "channels: none was moved",
    ]


def test_a_release_without_a_refresh_says_so() -> None:
    drawn = "\n".join(lineage.lines(lineage.tree(record(refresh={"id": None, "status": "NotNeeded"}))))

    assert "└─ no refresh was needed" in drawn
