"""An image that there is already: reused, given by its id, or revoked."""

from collections.abc import Callable
from typing import Any

import pytest

from rebake.exceptions import ImageError, RevokedError
from rebake.hooks.image import ImageHook
from tests.unit.stages.bake_support import Cloud, PretendedPacker, Run, app, revoke


def test_a_new_image_and_a_reused_one_demand_imds_v2(packer: PretendedPacker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a reused one, the try that baked it may have been killed before it came to that."""
    demanded: list[str] = []
    monkeypatch.setattr(ImageHook, "demand_imds_v2", lambda _hook, image: demanded.append(image.id))

    first = Run("manual__1").execute(app())
    assert Run("manual__2").execute(app()) == first

    assert demanded == [first, first]


def test_an_image_of_the_same_inputs_is_reused_by_another_run(packer: PretendedPacker) -> None:
    first = Run("manual__1").execute(app())
    second = Run("manual__2")

    assert second.execute(app()) == first
    assert second.result["reused"] is True
    assert len(packer.built) == 1


def test_a_given_image_of_the_version_is_deployed_without_a_bake(packer: PretendedPacker) -> None:
    first = Run("manual__1").execute(app())
    run = Run("manual__2")

    assert run.execute(app(ami_id=first, commit="")) == first
    assert run.result["reused"] is True
    assert run.result["commit"] == "abc"
    assert len(packer.built) == 1


def test_a_reused_image_is_released_for_the_commit_that_was_asked_for(packer: PretendedPacker) -> None:
    Run("manual__1").execute(app(commit="", build_id="7"))
    run = Run("manual__2")
    run.execute(app(commit="def", build_id=""))

    assert run.result["reused"] is True
    assert (run.result["commit"], run.result["build_id"]) == ("def", "7")


def test_a_revoked_image_of_the_same_inputs_is_not_reused(packer: PretendedPacker, cloud: Cloud) -> None:
    revoke(cloud, Run("manual__1").execute(app()))

    with pytest.raises(RevokedError, match=r"revoked since .*: CVE-2026-1\. the same inputs make the same image"):
        Run("manual__2").execute(app())

    assert len(packer.built) == 1


def test_a_forced_bake_replaces_a_revoked_image_and_is_reused_itself(packer: PretendedPacker, cloud: Cloud) -> None:
    revoke(cloud, Run("manual__1").execute(app()))

    anew = Run("manual__2").execute(app(force=True))

    assert Run("manual__3").execute(app()) == anew
    assert len(packer.built) == 2


def test_nothing_is_baked_on_a_revoked_base(packer: PretendedPacker, cloud: Cloud) -> None:
    base = cloud.ssm.get_parameter(Name="/rebake/bases/debian-12/current")["Parameter"]["Value"]
    revoke(cloud, base)

    with pytest.raises(RevokedError) as caught:
        Run().execute(app(force=True))

    for part in (base, "CVE-2026-1", "run the DAG rebuild_base_image with base=debian-12 and force_bake first"):
        assert part in str(caught.value)
    assert packer.built == []


def _missing(_cloud: Cloud) -> str:
    return "ami-00000000000000000"


def _strangers(cloud: Cloud) -> str:
    return cloud.image("someone-elses", {"Name": "x"})


def _older(_cloud: Cloud) -> str:
    return Run("manual__1").execute(app())


def _revoked(cloud: Cloud) -> str:
    image = Run("manual__1").execute(app())
    revoke(cloud, image)
    return image


@pytest.mark.parametrize(
    ("given", "version", "message"),
    [
        (_older, "1.2.4", r"holds version 1\.2\.3 of webapp, and 1\.2\.4 was requested"),
        (_strangers, "1.2.3", "image ami-.* was not made by Rebake for webapp"),
        (_missing, "1.2.3", "image 'ami-00000000000000000' does not exist in eu-west-1"),
        (_revoked, "1.2.3", r"ami_id of webapp: image ami-.* is revoked since .*: CVE-2026-1"),
    ],
)
def test_a_given_image_that_may_not_be_deployed_is_refused(
    packer: PretendedPacker, cloud: Cloud, given: Callable[[Cloud], str], version: str, message: str
) -> None:
    image = given(cloud)

    with pytest.raises(ImageError, match=message) as caught:
        Run("manual__2").execute(app(ami_id=image, version=version))

    assert image in str(caught.value)


@pytest.mark.parametrize("force", [True, "True", False], ids=["native", "rendered", "gone"])
def test_a_forced_bake_bakes_although_an_image_exists_and_any_bake_if_it_is_gone(
    packer: PretendedPacker, cloud: Cloud, force: Any
) -> None:
    first = Run("manual__1").execute(app())
    if not force:
        cloud.ec2.deregister_image(ImageId=first)

    assert Run("manual__2").execute(app(force=force)) != first
    assert len(packer.built) == 2
