"""A bake that is refused, fails or was killed leaves nothing, and the next try goes on."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rebake.exceptions import (
    ArtifactError,
    CloudUnreachableError,
    ConfigError,
    ImageError,
    RevokedError,
    ToolFailedError,
)
from tests.unit.stages.bake_support import VENDORS_IMAGE, Cloud, PretendedPacker, Run, app, base, revoke


def test_a_retry_takes_the_image_that_the_killed_try_had_finished_even_of_a_forced_bake(
    packer: PretendedPacker,
) -> None:
    run = Run()
    first = run.execute(app(force=True))

    assert run.execute(app(force=True)) == first
    assert run.result["reused"] is False
    assert len(packer.built) == 1


def test_a_retry_removes_the_unfinished_image_of_the_killed_try_and_bakes(
    packer: PretendedPacker, cloud: Cloud
) -> None:
    def die_before_the_tags(variables: Mapping[str, Any]) -> str:
        cloud.image(variables["ami_name"], {})
        raise KeyboardInterrupt

    run, before = Run(), cloud.images()
    packer.behaviour = die_before_the_tags
    with pytest.raises(KeyboardInterrupt):
        run.execute(app())
    left = cloud.images() - before
    packer.behaviour = packer.make

    ami_id = run.execute(app())

    assert len(left) == 1
    assert cloud.images() - before == {ami_id}


def test_a_retry_removes_the_builder_key_pair_and_group_of_the_killed_try(
    packer: PretendedPacker, cloud: Cloud
) -> None:
    def die_while_building(variables: Mapping[str, Any]) -> str:
        cloud.ec2.create_key_pair(KeyName="packer_1")
        packer.on_line("==> amazon-ebs.app: Creating temporary keypair: packer_1")
        cloud.ec2.create_security_group(GroupName="packer_2", Description="Temporary group for Packer")
        packer.on_line("==> amazon-ebs.app: Creating temporary security group for this instance: packer_2")
        cloud.ec2.run_instances(
            ImageId=VENDORS_IMAGE,
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in variables["run_tags"].items()],
                }
            ],
        )
        raise KeyboardInterrupt

    run = Run()
    packer.behaviour = die_while_building
    with pytest.raises(KeyboardInterrupt):
        run.execute(app())
    packer.behaviour = packer.make

    run.execute(app())

    assert orphans(cloud) == ([], [], [])


def orphans(cloud: Cloud) -> tuple[list[str], list[str], list[str]]:
    instances = [
        instance["InstanceId"]
        for reservation in cloud.ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] != "terminated"
    ]
    keys = [key["KeyName"] for key in cloud.ec2.describe_key_pairs()["KeyPairs"]]
    groups = [group["GroupName"] for group in cloud.ec2.describe_security_groups()["SecurityGroups"]]
    return instances, keys, [name for name in groups if name != "default"]


def test_a_bake_that_fails_names_what_was_baked_and_leaves_nothing(packer: PretendedPacker, cloud: Cloud) -> None:
    def fail(_variables: Mapping[str, Any]) -> str:
        cloud.ec2.create_key_pair(KeyName="packer_1")
        packer.on_line("==> amazon-ebs.app: Creating temporary keypair: packer_1")
        raise ToolFailedError("Packer (build) failed with status 1. step self-test failed with exit status 1")

    packer.behaviour = fail
    with pytest.raises(ToolFailedError, match=r"baking webapp 1\.2\.3 failed: .*step self-test failed"):
        Run().execute(app())

    assert orphans(cloud) == ([], [], [])


def test_an_image_that_lacks_the_tags_of_its_bake_is_not_used(packer: PretendedPacker, cloud: Cloud) -> None:
    packer.behaviour = lambda variables: cloud.image(variables["ami_name"], {"Name": "x"})

    with pytest.raises(ImageError, match="has just been baked, but lacks the tags of its bake"):
        Run().execute(app())


def test_an_artifact_that_changed_since_its_checksum_was_written_fails_before_anything_is_baked(
    packer: PretendedPacker, home: Path
) -> None:
    with (home / "build/webapp-1.2.3.tar.gz").open("ab") as artifact:
        artifact.write(b"x")

    with pytest.raises(ArtifactError, match="does not match its checksum"):
        Run().execute(app())
    assert packer.built == []


def test_without_a_promoted_base_it_says_which_dag_makes_one(packer: PretendedPacker, cloud: Cloud) -> None:
    cloud.ssm.delete_parameter(Name="/rebake/bases/debian-12/current")

    with pytest.raises(ImageError) as caught:
        Run().execute(app())

    for part in ("/rebake/bases/debian-12/current does not exist", "rebuild_base_image with base=debian-12"):
        assert part in str(caught.value)


def test_a_promoted_base_that_is_gone_is_named_with_its_parameter(packer: PretendedPacker, cloud: Cloud) -> None:
    cloud.point("/rebake/bases/debian-12/current", "ami-00000000000000000")

    with pytest.raises(
        ImageError,
        match=r"base image of webapp, from parameter /rebake/bases/debian-12/current: image 'ami-0+' does not exist",
    ):
        Run().execute(app())


def test_an_unknown_vendors_image_names_the_setting(packer: PretendedPacker) -> None:
    with pytest.raises(ImageError, match=r"correct source_parameter in config/bases/amazon-linux-2023\.yaml"):
        Run().execute(base(base="amazon-linux-2023"))


def test_a_cloud_that_does_not_answer_is_named_with_the_way_to_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        monkeypatch.setenv(
            "AIRFLOW_CONN_AWS_DEFAULT",
            f'{{"conn_type": "aws", "login": "x", "password": "y", "extra": {{"endpoint_url": "{url}"}}}}',
        )

        with pytest.raises(CloudUnreachableError, match=f"the embedded cloud at {url} does not answer .*make up"):
            Run().execute(base())


def test_a_retry_does_not_take_the_image_of_its_own_run_that_was_revoked_meanwhile(
    packer: PretendedPacker, cloud: Cloud
) -> None:
    run = Run()
    revoke(cloud, run.execute(app(force=True)))

    with pytest.raises(RevokedError, match="trigger a new run with force_bake"):
        run.execute(app(force=True))


MISSING = r"webapp-9\.9\.9\.tar\.gz does not exist: build it and put"
PATTERN = r"version '.*' of webapp does not match \^\[0-9\]\+\\\.\["


@pytest.mark.parametrize(
    ("version", "error", "message"),
    [("9.9.9", ArtifactError, MISSING), *((odd, ConfigError, PATTERN) for odd in ("latest", "1.2", "", None))],
)
def test_a_version_without_artifact_or_of_another_pattern_fails_before_anything_is_baked(
    packer: PretendedPacker, version: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Run().execute(app(version=version))

    assert packer.built == []
