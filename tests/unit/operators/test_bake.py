"""A bake: what it is made of, and what it hands on."""

from pathlib import Path

from rebake import tags
from tests.unit.stages.bake_support import Cloud, PretendedPacker, Run, app, base


def test_an_application_is_baked_on_the_promoted_base_and_its_provenance_returned(
    packer: PretendedPacker, cloud: Cloud, home: Path
) -> None:
    run = Run()

    ami_id = run.execute(app())

    (built,) = packer.built
    base = cloud.ssm.get_parameter(Name="/rebake/bases/debian-12/current")["Parameter"]["Value"]
    assert ami_id in cloud.images()
    assert list((home / "work").iterdir()) == [], "nothing stays in the work folder"
    assert packer.environment["AWS_ACCESS_KEY_ID"] == "AKID"
    assert packer.environment["AWS_REGION"] == "eu-west-1"
    assert built["template"] == "app"
    assert built["source_ami"] == base
    assert run.result == {
        "ami_id": ami_id,
        "reused": False,
        "fingerprint": built["image_tags"][tags.FINGERPRINT],
        "base_ami": base,
        "version": "1.2.3",
        "commit": "abc",
        "build_id": "7",
        "template_version": built["image_tags"][tags.TEMPLATE_VERSION],
    }


def test_a_base_image_is_baked_on_the_vendors_newest(packer: PretendedPacker, cloud: Cloud) -> None:
    ami_id = Run().execute(base())

    parameter = cloud.ssm.get_parameter(Name="/vendor/debian-12")["Parameter"]
    assert ami_id in cloud.images()
    assert packer.built[0]["template"] == "base"
    assert packer.built[0]["source_ami"] == parameter["Value"]
