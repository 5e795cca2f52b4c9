from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from examples.webapp.build import build as build_artifact
from rebake import tags
from rebake.exceptions import (
    ArtifactError,
    CloudUnreachableError,
    ConfigError,
    ImageError,
    RevokedError,
    ToolFailedError,
)
from rebake.hooks.image import ImageHook
from rebake.operators import bake as stage
from rebake.operators.bake import BakeBaseOperator, BakeOperator
from rebake.rendered import as_bool, as_text
from rebake.tools import Runner

VENDORS_IMAGE = "ami-0123456789abcdef0"


class Cloud:
    """The account that a test bakes in, with clients to look at it."""

    def __init__(self) -> None:
        self.ec2: Any = boto3.client("ec2", region_name="eu-west-1")
        self.ssm: Any = boto3.client("ssm", region_name="eu-west-1")
        self.s3: Any = boto3.client("s3", region_name="eu-west-1")

    def image(self, name: str, tagged: Mapping[str, str]) -> str:
        instance = self.ec2.run_instances(ImageId=VENDORS_IMAGE, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        made: str = self.ec2.create_image(InstanceId=instance, Name=name)["ImageId"]
        self.ec2.terminate_instances(InstanceIds=[instance])
        if tagged:
            self.ec2.create_tags(Resources=[made], Tags=[{"Key": key, "Value": value} for key, value in tagged.items()])
        return made

    def images(self) -> set[str]:
        return {image["ImageId"] for image in self.ec2.describe_images(Owners=["self"])["Images"]}

    def point(self, parameter: str, value: str) -> None:
        self.ssm.put_parameter(Name=parameter, Value=value, Type="String", Overwrite=True)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", '{"conn_type": "aws", "login": "AKID", "password": "not-a-secret"}')
    with mock_aws():
        made = Cloud()
        vendors = made.image("debian-12-amd64", {})
        made.point("/vendor/debian-12", vendors)
        base = made.image("rebake-debian-12", {tags.KIND: tags.KIND_BASE_IMAGE, tags.SERVICE: "debian-12"})
        made.point("/rebake/bases/debian-12/current", base)
        yield made


@pytest.fixture(autouse=True)
def home(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the project's configuration and templates, with an artifact of version 1.2.3."""
    for name in ("config", "packer"):
        shutil.copytree(project / name, tmp_path / name)
    for name in ("debian-12", "amazon-linux-2023"):  # moto lets nobody write below /aws, as AWS does
        path = tmp_path / f"config/bases/{name}.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"/aws/service/\S+", f"/vendor/{name}", text), encoding="utf-8")
    build_artifact("1.2.3", tmp_path / "build")
    monkeypatch.setenv("REBAKE_HOME", str(tmp_path))
    monkeypatch.setenv("REBAKE_WORK", str(tmp_path / "work"))
    return tmp_path


class PretendedPacker:
    """Makes an image in the pretended cloud; `behaviour` may do something else instead."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.built: list[dict[str, Any]] = []
        self.environment: dict[str, str] = {}
        self.on_line: Callable[[str], None] = lambda _line: None
        self.behaviour: Callable[[Mapping[str, Any]], str] = self.make

    def __call__(self, _place: Any, **options: Any) -> PretendedPacker:
        self.environment = options["environment"]
        self.on_line = options["on_line"]
        return self

    def build(self, template: str, variables: Mapping[str, Any]) -> str:
        self.built.append({"template": template, **variables})
        return self.behaviour(variables)

    def make(self, variables: Mapping[str, Any]) -> str:
        return self.cloud.image(variables["ami_name"], variables["image_tags"])


@pytest.fixture
def packer(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> PretendedPacker:
    pretended = PretendedPacker(cloud)
    monkeypatch.setattr(stage.packer, "Packer", pretended)
    return pretended


class Run:
    """One Airflow run of a DAG; its tasks share what they have noted."""

    def __init__(self, run_id: str = "manual__1") -> None:
        self.run_id = run_id
        self.pushed: dict[str, Any] = {}
        self.noted: dict[str, Any] = {}

    def execute(self, operator: Any) -> str:
        ti = SimpleNamespace(
            dag_id="deploy_webapp",
            run_id=self.run_id,
            task_id="bake",
            xcom_push=lambda key, value: self.pushed.update({key: value}),
        )
        store = SimpleNamespace(get=self.noted.get, set=lambda key, value: self.noted.update({key: value}))
        returned: str = operator.execute({"ti": ti, "task_state_store": store})
        return returned


def _app(**options: Any) -> BakeOperator:
    chosen = {"task_id": "bake", "service": "webapp", "version": "1.2.3", "commit": "abc", "build_id": "7"} | options
    return BakeOperator(**chosen)


def _base(**options: Any) -> BakeBaseOperator:
    return BakeBaseOperator(**({"task_id": "bake", "base": "debian-12"} | options))


def test_an_application_is_baked_on_the_promoted_base_and_its_provenance_pushed(
    packer: PretendedPacker, cloud: Cloud
) -> None:
    run = Run()

    ami_id = run.execute(_app())

    (built,) = packer.built
    base = cloud.ssm.get_parameter(Name="/rebake/bases/debian-12/current")["Parameter"]["Value"]
    assert ami_id in cloud.images()
    assert built["template"] == "app"
    assert built["source_ami"] == base
    assert run.pushed == {
        "reused": False,
        "fingerprint": built["image_tags"][tags.FINGERPRINT],
        "base_ami": base,
        "version": "1.2.3",
        "commit": "abc",
        "build_id": "7",
        "template_version": built["image_tags"][tags.TEMPLATE_VERSION],
    }


def test_a_base_image_is_baked_on_the_vendors_newest(packer: PretendedPacker, cloud: Cloud) -> None:
    ami_id = Run().execute(_base())

    parameter = cloud.ssm.get_parameter(Name="/vendor/debian-12")["Parameter"]
    assert ami_id in cloud.images()
    assert packer.built[0]["template"] == "base"
    assert packer.built[0]["source_ami"] == parameter["Value"]


def test_a_new_image_and_a_reused_one_are_told_to_demand_imds_v2(
    packer: PretendedPacker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a reused one, the try that baked it may have been killed before it came to that."""
    told: list[str] = []
    monkeypatch.setattr(ImageHook, "demand_imds_v2", lambda _hook, image: told.append(image.id))

    first = Run("manual__1").execute(_app())
    assert Run("manual__2").execute(_app()) == first

    assert told == [first, first]


def test_packer_gets_the_connections_credentials(packer: PretendedPacker) -> None:
    Run().execute(_app())

    assert packer.environment["AWS_ACCESS_KEY_ID"] == "AKID"
    assert packer.environment["AWS_REGION"] == "eu-west-1"


def test_an_image_of_the_same_inputs_is_reused_by_another_run(packer: PretendedPacker) -> None:
    first = Run("manual__1").execute(_app())
    second = Run("manual__2")

    assert second.execute(_app()) == first
    assert second.pushed["reused"] is True
    assert len(packer.built) == 1


def test_an_image_of_the_same_inputs_that_is_gone_is_baked_again(packer: PretendedPacker, cloud: Cloud) -> None:
    first = Run("manual__1").execute(_app())
    cloud.ec2.deregister_image(ImageId=first)

    assert Run("manual__2").execute(_app()) != first
    assert len(packer.built) == 2


@pytest.mark.parametrize("force", [True, "True"], ids=["native", "rendered"])
def test_a_forced_bake_bakes_although_an_image_exists(packer: PretendedPacker, force: Any) -> None:
    first = Run("manual__1").execute(_app())

    assert Run("manual__2").execute(_app(force=force)) != first
    assert len(packer.built) == 2


def test_a_retry_takes_the_image_that_the_killed_try_had_finished_even_of_a_forced_bake(
    packer: PretendedPacker,
) -> None:
    run = Run()
    first = run.execute(_app(force=True))

    assert run.execute(_app(force=True)) == first
    assert run.pushed["reused"] is False
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
        run.execute(_app())
    left = cloud.images() - before
    packer.behaviour = packer.make

    ami_id = run.execute(_app())

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
        run.execute(_app())
    packer.behaviour = packer.make

    run.execute(_app())

    assert _leftovers(cloud) == ([], [], [])


def _leftovers(cloud: Cloud) -> tuple[list[str], list[str], list[str]]:
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
        Run().execute(_app())

    assert _leftovers(cloud) == ([], [], [])


def test_an_image_that_lacks_the_tags_of_its_bake_is_not_used(packer: PretendedPacker, cloud: Cloud) -> None:
    packer.behaviour = lambda variables: cloud.image(variables["ami_name"], {"Name": "x"})

    with pytest.raises(ImageError, match="has just been baked, but has not the tags of its bake"):
        Run().execute(_app())


def test_nothing_stays_in_the_work_folder(packer: PretendedPacker, home: Path) -> None:
    Run().execute(_app())

    assert list((home / "work").iterdir()) == []


@pytest.mark.parametrize("version", ["latest", "1.2", "", None], ids=repr)
def test_a_version_that_breaks_the_pattern_is_refused_with_the_pattern(packer: PretendedPacker, version: Any) -> None:
    with pytest.raises(ConfigError, match=r"version '.*' of webapp does not match '\^\[0-9\]"):
        Run().execute(_app(version=version))

    assert packer.built == []


def test_a_missing_artifact_fails_before_anything_is_baked(packer: PretendedPacker) -> None:
    with pytest.raises(ArtifactError, match=r"webapp-9\.9\.9\.tar\.gz does not exist: build it: make artifact"):
        Run().execute(_app(version="9.9.9"))

    assert packer.built == []


def test_an_artifact_that_changed_since_its_checksum_was_written_fails_before_anything_is_baked(
    packer: PretendedPacker, home: Path
) -> None:
    with (home / "build/webapp-1.2.3.tar.gz").open("ab") as artifact:
        artifact.write(b"x")

    with pytest.raises(ArtifactError, match="does not match its checksum"):
        Run().execute(_app())
    assert packer.built == []


def test_without_a_promoted_base_it_says_which_dag_makes_one(packer: PretendedPacker, cloud: Cloud) -> None:
    cloud.ssm.delete_parameter(Name="/rebake/bases/debian-12/current")

    with pytest.raises(ImageError) as caught:
        Run().execute(_app())

    for part in ("/rebake/bases/debian-12/current does not exist", "rebuild_base_image with base=debian-12"):
        assert part in str(caught.value)


def test_a_promoted_base_that_is_gone_is_named_with_its_parameter(packer: PretendedPacker, cloud: Cloud) -> None:
    cloud.point("/rebake/bases/debian-12/current", "ami-00000000000000000")

    with pytest.raises(
        ImageError,
        match=r"base image of webapp, from parameter /rebake/bases/debian-12/current: image 'ami-0+' does not exist",
    ):
        Run().execute(_app())


def test_an_unknown_vendors_image_names_the_setting(packer: PretendedPacker) -> None:
    with pytest.raises(ImageError, match=r"correct source_parameter in config/bases/amazon-linux-2023\.yaml"):
        Run().execute(_base(base="amazon-linux-2023"))


def test_an_unknown_base_names_those_that_there_are(packer: PretendedPacker) -> None:
    with pytest.raises(ConfigError, match=r"windows-95\.yaml: no such file; known bases: amazon-linux-2023, debian-12"):
        Run().execute(_base(base="windows-95"))


def test_a_given_image_of_the_version_is_deployed_without_a_bake(packer: PretendedPacker) -> None:
    first = Run("manual__1").execute(_app())
    run = Run("manual__2")

    assert run.execute(_app(ami_id=first, commit="")) == first
    assert run.pushed["reused"] is True
    assert run.pushed["commit"] == "abc"
    assert len(packer.built) == 1


def test_a_reused_image_is_released_for_the_commit_that_was_asked_for(packer: PretendedPacker) -> None:
    Run("manual__1").execute(_app(commit="", build_id="7"))
    run = Run("manual__2")
    run.execute(_app(commit="def", build_id=""))

    assert run.pushed["reused"] is True
    assert (run.pushed["commit"], run.pushed["build_id"]) == ("def", "7")


def test_a_given_image_of_another_version_is_refused(packer: PretendedPacker, home: Path) -> None:
    first = Run("manual__1").execute(_app())

    with pytest.raises(ImageError, match=r"holds version 1\.2\.3 of webapp, and 1\.2\.4 was asked for"):
        Run("manual__2").execute(_app(ami_id=first, version="1.2.4"))


def test_a_given_image_that_is_not_ours_is_refused(packer: PretendedPacker, cloud: Cloud) -> None:
    strangers = cloud.image("someone-elses", {"Name": "x"})

    with pytest.raises(ImageError, match=f"image {strangers} was not made by Rebake for webapp"):
        Run().execute(_app(ami_id=strangers))


def test_a_given_image_that_does_not_exist_is_refused(packer: PretendedPacker) -> None:
    with pytest.raises(ImageError, match="image 'ami-00000000000000000' does not exist in eu-west-1"):
        Run().execute(_app(ami_id="ami-00000000000000000"))


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
            Run().execute(_base())


def test_a_kill_of_the_task_goes_to_packer() -> None:
    told: list[str] = []
    operator = _app()

    operator.on_kill()  # nothing runs yet
    operator._runner = SimpleNamespace(stop=lambda: told.append("stop"))  # type: ignore[assignment]
    operator.on_kill()

    assert told == ["stop"]
    assert callable(Runner.stop)


@pytest.mark.parametrize(("value", "expected"), [(None, ""), ("None", ""), (" x ", "x"), (7, "7")], ids=repr)
def test_a_rendered_field_is_read_as_text(value: Any, expected: str) -> None:
    assert as_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), ("True", True), ("false", False), ("1", True), ("", False), (None, False)],
    ids=repr,
)
def test_a_rendered_flag_is_read_as_a_boolean(value: Any, expected: bool) -> None:
    assert as_bool(value, "force_bake") is expected


def test_a_flag_that_is_neither_is_refused() -> None:
    with pytest.raises(ConfigError, match="force_bake is 'maybe'; it must be true or false"):
        as_bool("maybe", "force_bake")


@pytest.mark.parametrize("operator", [_app(), _base()], ids=["app", "base"])
def test_every_template_field_is_an_attribute(operator: Any) -> None:
    assert [name for name in operator.template_fields if not hasattr(operator, name)] == []
    assert os.environ["REBAKE_ENVIRONMENT"] == "local"


def _revoke(cloud: Cloud, image: str) -> None:
    said = {tags.REVOKED: "CVE-2026-1", tags.REVOKED_AT: "2026-03-01T12:00:00Z"}
    cloud.ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in said.items()])
    if "rebake-local" not in {bucket["Name"] for bucket in cloud.s3.list_buckets()["Buckets"]}:
        cloud.s3.create_bucket(Bucket="rebake-local", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def test_a_revoked_image_of_the_same_inputs_is_not_reused(packer: PretendedPacker, cloud: Cloud) -> None:
    _revoke(cloud, Run("manual__1").execute(_app()))

    with pytest.raises(RevokedError, match=r"revoked since .*: CVE-2026-1\. the same inputs make the same image"):
        Run("manual__2").execute(_app())

    assert len(packer.built) == 1


def test_a_forced_bake_replaces_a_revoked_image_and_is_reused_itself(packer: PretendedPacker, cloud: Cloud) -> None:
    _revoke(cloud, Run("manual__1").execute(_app()))

    anew = Run("manual__2").execute(_app(force=True))

    assert Run("manual__3").execute(_app()) == anew
    assert len(packer.built) == 2


def test_nothing_is_baked_on_a_revoked_base(packer: PretendedPacker, cloud: Cloud) -> None:
    base = cloud.ssm.get_parameter(Name="/rebake/bases/debian-12/current")["Parameter"]["Value"]
    _revoke(cloud, base)

    with pytest.raises(RevokedError) as caught:
        Run().execute(_app(force=True))

    for part in (base, "CVE-2026-1", "run the DAG rebuild_base_image with base=debian-12 and force_bake first"):
        assert part in str(caught.value)
    assert packer.built == []


def test_a_revoked_image_is_not_deployed_by_its_id(packer: PretendedPacker, cloud: Cloud) -> None:
    image = Run("manual__1").execute(_app())
    _revoke(cloud, image)

    with pytest.raises(RevokedError, match=rf"ami_id of webapp: image {image} is revoked since .*: CVE-2026-1"):
        Run("manual__2").execute(_app(ami_id=image))


def test_a_retry_does_not_take_the_image_of_its_own_run_that_was_revoked_meanwhile(
    packer: PretendedPacker, cloud: Cloud
) -> None:
    run = Run()
    _revoke(cloud, run.execute(_app(force=True)))

    with pytest.raises(RevokedError, match="trigger a new run with force_bake"):
        run.execute(_app(force=True))
