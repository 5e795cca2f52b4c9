"""The stage choose_release of a rollback: what it chooses, and what it refuses."""

from typing import Any

import pytest

from rebake import tags
from rebake.exceptions import ConfigError, ImageError
from rebake.operators.choose_release import ChooseReleaseOperator
from rebake.release import lease
from tests.support.aws import BUCKET
from tests.support.fleet import GROUP, group, instance
from tests.support.releases import acquire_lease, run_context


def _choose(wanted: str = "") -> dict[str, Any]:
    return ChooseReleaseOperator(task_id="choose_release", service="webapp", release=wanted).execute(
        run_context({}, {})
    )


def test_the_release_before_is_chosen_and_its_record_is_handed_on(rollout: Any) -> None:
    chosen = _choose()

    assert chosen["ami_id"] == rollout.images["1"]
    assert (chosen["version"], chosen["commit"], chosen["release_id"]) == (
        "1.0.0",
        "c1",
        "webapp-20261123T183001-1.0.0",
    )
    assert chosen["auto_scaling_group_name"] == GROUP
    assert chosen["reused"] is True


def test_while_a_deployment_holds_the_lease_the_current_release_is_chosen(rollout: Any) -> None:
    acquire_lease(rollout.s3, "deploy_webapp/x")

    assert _choose()["ami_id"] == rollout.images["2"]


def test_a_mixed_fleet_returns_to_the_current_release(rollout: Any) -> None:
    rollout.fleet = group("2", instance("i-2", "2"), instance("i-3", "3"))

    assert _choose()["ami_id"] == rollout.images["2"]


def test_a_release_that_is_named_is_chosen(rollout: Any) -> None:
    assert _choose("2.0.0")["ami_id"] == rollout.images["2"]
    assert _choose(rollout.images["1"])["ami_id"] == rollout.images["1"]


def test_an_image_that_was_deregistered_is_named_with_the_way_out(rollout: Any) -> None:
    rollout.ec2.deregister_image(ImageId=rollout.images["1"])

    with pytest.raises(
        ImageError, match=r"release webapp-20261123T183001-1\.0\.0 cannot be returned to: .* does not exist"
    ) as caught:
        _choose()
    assert "deploy 1.0.0 anew" in str(caught.value)
    assert "webapp-20261123T183002-2.0.0" in str(caught.value)


def test_releases_of_revoked_images_are_not_offered_instead(rollout: Any) -> None:
    rollout.ec2.deregister_image(ImageId=rollout.images["1"])
    rollout.ec2.create_tags(Resources=[rollout.images["2"]], Tags=[{"Key": tags.REVOKED, "Value": "CVE-2026-1"}])

    with pytest.raises(ImageError, match="Releases of other images: none"):
        _choose()


def test_an_unknown_release_is_refused_before_the_lease_is_acquired(rollout: Any) -> None:
    with pytest.raises(ConfigError, match=r"webapp has no release '9\.9\.9'.* There are: webapp-20261123T183002-2"):
        _choose("9.9.9")

    assert lease.read(rollout.s3, BUCKET, "webapp") is None
