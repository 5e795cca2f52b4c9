"""`make lineage`, `make rollback` and `make status`: what they find, print and return."""

import datetime as dt
import json
from functools import partial
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from rebake import tags
from rebake.release import lease
from rebake.release.lease import LeaseRequest, RunKind
from stack import __main__ as command
from stack import follow, lineage, revoke, status
from stack.bases import Bases
from stack.errors import InputError
from tests.support.aws import BUCKET
from tests.support.releases import COMMIT, put_record, record


@pytest.fixture
def stack(s3: Any, ssm: Any) -> Any:
    """Return a stack whose cloud has two releases of the sample service and a run that failed."""
    for one in (record(1), record(2), record(3, "rolled_back")):
        put_record(s3, one)
    for channel, image in (("current", "ami-02"), ("previous", "ami-01")):
        ssm.put_parameter(Name=f"/rebake/webapp/{channel}", Value=image, Type="String")
    return SimpleNamespace(cloud=SimpleNamespace(client=partial(boto3.client, region_name="eu-west-1")))


def test_all_releases_of_a_commit_are_listed_newest_first(stack: Any) -> None:
    shown = lineage.run(stack, COMMIT[:7], "", "text")

    assert shown.startswith(
        f"3 releases contain {COMMIT[:7]}, the newest first:\nfound by commit {COMMIT[:7]}:\nrelease "
    )
    heads = [line.split()[1] for line in shown.splitlines() if line.startswith("release ")]
    assert heads == [f"webapp-20261123T18300{number}-1.{number}.0" for number in (3, 2, 1)]


def test_one_release_is_printed_as_a_tree(stack: Any) -> None:
    shown = lineage.run(stack, "i-2b", "", "text").splitlines()

    assert shown[0] == "found by instance after i-2b:"
    assert shown[1].startswith("release webapp-20261123T183002-1.2.0  successful")
    assert shown[-2].endswith("instances after: i-2b, i-2c")


def test_the_same_is_there_for_programs(stack: Any) -> None:
    (found,) = json.loads(lineage.run(stack, "refresh-2", "webapp", "json"))

    assert found["found_as"] == ["refresh"]
    assert found["record"] == record(2).model_dump(mode="json")


def test_a_release_in_progress_is_found_until_it_has_a_final_record(stack: Any) -> None:
    s3 = stack.cloud.client("s3")
    put_record(s3, record(4, "in_progress", refresh=None))
    assert "in_progress" in lineage.run(stack, "1.4.0", "", "text")

    put_record(s3, record(4))
    assert "in_progress" not in lineage.run(stack, "1.4.0", "", "text")


def test_more_records_than_a_page_are_all_read(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")  # of a page; AWS has 1000
    s3 = stack.cloud.client("s3")
    for number in range(25):
        name = f"webapp-20250101T{number:06d}-0.0.1"
        put_record(s3, record(1, release_id=name, ami_id="ami-0f"))

    assert len(json.loads(lineage.run(stack, "ami-0f", "", "json"))) == 25


def test_an_instance_that_the_group_launched_later_is_found_by_the_image_on_its_tags(stack: Any) -> None:
    ec2 = stack.cloud.client("ec2")
    tagged = [{"ResourceType": "instance", "Tags": [{"Key": "rebake:ami", "Value": "ami-02"}]}]
    launched = ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1, TagSpecifications=tagged)
    instance_id = launched["Instances"][0]["InstanceId"]

    shown = lineage.run(stack, instance_id, "", "text").splitlines()

    assert shown[0] == f"{instance_id} was launched outside of a rollout; it runs image ami-02"
    assert shown[1].startswith("release webapp-20261123T183002-1.2.0  successful")


@pytest.mark.parametrize("of", ["9.9.9", "i-0123456789abcdef0", "ami-0999"])
def test_a_search_without_a_result_names_what_there_is(stack: Any, of: str) -> None:
    with pytest.raises(InputError) as shown:
        lineage.run(stack, of, "", "text")

    assert f"none of the 3 release records of pages, webapp contains '{of}'" in str(shown.value)
    assert "The newest releases: webapp-20261123T183003-1.3.0, " in str(shown.value)


def test_an_empty_search_and_an_unknown_service_are_wrong_input(stack: Any) -> None:
    with pytest.raises(InputError, match="make lineage OF=<commit"):
        lineage.run(stack, "", "", "text")
    with pytest.raises(InputError, match="no service 'shop': one of pages, webapp"):
        lineage.run(stack, "1.1.0", "shop", "text")


def _rendered(found: dict[str, Any]) -> str:
    """Return what `make status` prints where this was found of webapp."""
    service = {"url": "http://127.0.0.1:1/", "answers": "1.2.0", "instances": [], **found}
    running = {"airflow": {"url": "", "user": "admin", "password": "secret"}, "cloud": {"url": "", "state": "running"}}
    return status.render({**running, "services": {"webapp": service}})


def test_status_names_the_last_outcome_and_the_releases_by_id(stack: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    s3 = stack.cloud.client("s3")
    lease.acquire(s3, BUCKET, "webapp", LeaseRequest("deploy_webapp/x", RunKind.DEPLOY, now, dt.timedelta(hours=1)))

    found = status._releases(stack, "webapp")
    text = _rendered(found)

    assert "current release  webapp-20261123T183002-1.2.0" in text
    assert "previous release webapp-20261123T183001-1.1.0" in text
    assert "webapp-20261123T183003-1.3.0  deploy rolled_back: unhealthy at wait_for_refresh" in text
    assert "in progress      deploy_webapp/x" in text


def test_status_of_a_service_without_a_release_shows_none(stack: Any) -> None:
    names = ("current", "base", "current_release", "previous_release", "last_release", "lease")

    assert status._releases(stack, "shop") == dict.fromkeys(names)


def _promote_bases(stack: Any, *images: str) -> None:
    ssm = stack.cloud.client("ssm")
    for image in images:
        ssm.put_parameter(Name="/rebake/bases/debian-12/current", Value=image, Type="String", Overwrite=True)


def test_lineage_names_an_outdated_base_with_its_age(stack: Any) -> None:
    _promote_bases(stack, "ami-0ba5e", "ami-0new")

    assert "base image ami-0ba5e (outdated for 0 minutes: debian-12 is at ami-0new)" in lineage.run(
        stack, "1.2.0", "", "text"
    )
    (found,) = json.loads(lineage.run(stack, "1.2.0", "", "json"))
    assert (found["base"]["outdated"], found["base"]["newest"]) == (True, "ami-0new")


def test_status_shows_whether_the_base_of_the_current_release_is_outdated(stack: Any) -> None:
    _promote_bases(stack, "ami-0ba5e")
    assert status._releases(stack, "webapp")["base"]["outdated"] is False

    _promote_bases(stack, "ami-0new")
    found = status._releases(stack, "webapp")

    assert (found["base"]["outdated"], found["base"]["days"]) == (True, 0)
    text = _rendered(found)
    assert "  base image       ami-0ba5e  outdated for 0 minutes: debian-12 is at ami-0new" in text


def test_a_service_that_is_being_provisioned_has_no_address_yet(stack: Any) -> None:
    ec2, elbv2 = stack.cloud.client("ec2"), stack.cloud.client("elbv2")
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    elbv2.create_load_balancer(Name="of-another-service", Subnets=[subnet])
    targets = elbv2.create_target_group(Name="pages-local", Protocol="HTTP", Port=8081, VpcId=network)["TargetGroups"]

    assert status._address(stack, {"TargetGroupARNs": [targets[0]["TargetGroupArn"]]}) == ""


def test_a_release_of_a_service_whose_file_is_gone_is_shown_without_its_base(stack: Any) -> None:
    gone = record(5, service="gone", release_id="gone-20261123T183005-1.5.0")

    assert Bases(stack).standing(gone) is None


@pytest.fixture
def runs(stack: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let each run end as these entries define, and collect what was requested."""
    ends: dict[str, Any] = {"state": "success", "finalize": "successful", "requested": []}
    chosen = {"release_id": "webapp-20261123T183001-1.1.0"}
    api = SimpleNamespace(xcom=lambda _dag, _run, task: ends["finalize"] if task == "finalize" else chosen)

    def run(_api: Any, dag_id: str, conf: dict[str, Any]) -> follow.RunOutcome:
        ends["requested"].append((dag_id, conf))
        return follow.RunOutcome(dag_id, "run", ends["state"], 12.0)

    monkeypatch.setattr(follow, "run", run)
    monkeypatch.setattr(command.up, "connect", lambda _: SimpleNamespace(api=api, cloud=stack.cloud))
    return ends


@pytest.mark.parametrize(
    ("arguments", "conf"),
    [(["rollback"], {}), (["rollback", "--to", "1.1.0", "--service", "webapp"], {"release": "1.1.0"})],
    ids=["the release before", "the release that is named"],
)
def test_a_rollback_returns_to_a_release(
    runs: dict[str, Any], capsys: pytest.CaptureFixture[str], arguments: list[str], conf: dict[str, str]
) -> None:
    assert command.main(arguments) == 0

    assert runs["requested"] == [("rollback_webapp", conf)]
    assert capsys.readouterr().out == "webapp back to webapp-20261123T183001-1.1.0: success after 12 s\n"


def test_a_rollback_that_fails_is_no_success(runs: dict[str, Any]) -> None:
    runs["state"], runs["finalize"] = "failed", "failed"

    assert command.main(["rollback"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [["rollback", "--to", "a b"], ["rollback", "--to", "1.3.0"], ["rollback", "--service", "shop"], ["deploy", ""]],
    ids=["no such release", "a release that failed", "no such service", "no version"],
)
def test_wrong_input_is_one_message_and_exit_status_2(
    arguments: list[str], runs: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 2

    assert runs["requested"] == []
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "\\\\" not in error


def test_a_rollback_to_an_unknown_release_lists_only_those_whose_image_can_be_launched(
    runs: dict[str, Any], stack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ec2, s3 = stack.cloud.client("ec2"), stack.cloud.client("s3")
    usable = ec2.register_image(Name="usable")["ImageId"]
    ec2.create_tags(Resources=[usable], Tags=[{"Key": tags.KIND, "Value": tags.KIND_APP_IMAGE}])
    put_record(s3, record(8, ami_id=usable))
    revoked = _revoked_release(stack)

    assert command.main(["rollback", "--to", "7.7.7"]) == 2

    assert runs["requested"] == []
    error = capsys.readouterr().err
    assert error.endswith(f"There are: webapp-20261123T183008-1.8.0 ({usable}) (3 omitted: image gone or revoked)\n")
    assert revoked not in error


@pytest.mark.parametrize(
    "arguments",
    [["rollback", "--to", "1.1.0"], ["lineage", "1.1.0"], ["report", "drift"]],
    ids=lambda arguments: arguments[0],
)
def test_a_command_after_make_down_names_make_up(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = partial(boto3.client, region_name="eu-west-1", endpoint_url="http://127.0.0.1:1")
    monkeypatch.setattr(command.up, "connect", lambda _: SimpleNamespace(cloud=SimpleNamespace(client=client)))

    assert command.main(arguments) == 1

    assert capsys.readouterr().err == "error: the embedded cloud does not run here: `make up` starts it\n"


def test_a_deployment_that_was_superseded_neither_failed_nor_did_what_it_was_to_do(
    runs: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "check", lambda *_: None)
    runs["finalize"] = "superseded"

    assert command.main(["deploy", "1.2.0"]) == 3
    assert capsys.readouterr().out == "webapp 1.2.0: superseded by a later run after 12 s\n"


def _revoked_release(stack: Any) -> str:
    """Make webapp's newest good release one of a revoked image, and return that image."""
    ec2, s3 = stack.cloud.client("ec2"), stack.cloud.client("s3")
    image: str = ec2.register_image(Name="revoked")["ImageId"]
    labels = {tags.KIND: tags.KIND_APP_IMAGE, tags.REVOKED: "CVE-2026-1", tags.REVOKED_AT: "2026-03-01T12:00:00Z"}
    ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in labels.items()])
    put_record(s3, record(9, ami_id=image))
    return image


def test_lineage_shows_that_an_image_is_revoked_and_why(stack: Any) -> None:
    image = _revoked_release(stack)

    shown = lineage.run(stack, "1.9.0", "", "text")
    (found,) = json.loads(lineage.run(stack, "1.9.0", "", "json"))

    assert f"image {image}, which is revoked since 2026-03-01T12:00:00Z: CVE-2026-1" in shown
    assert found["revoked"] == {"reason": "CVE-2026-1", "at": "2026-03-01T12:00:00Z", "by": image}


def test_status_shows_that_a_service_runs_a_revoked_image_and_what_is_safe(stack: Any) -> None:
    image = _revoked_release(stack)

    assert revoke.notes(stack, "webapp", [image]) == [
        f"{image} is revoked since 2026-03-01T12:00:00Z: CVE-2026-1",
        "No release of webapp is safe: deploy a new version, or one anew with force_bake",
    ]
    assert revoke.notes(stack, "webapp", ["ami-02"]) == []
