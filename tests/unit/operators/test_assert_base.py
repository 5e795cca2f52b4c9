"""The stages that judge and record a base image, against moto."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import yaml
from airflow.sdk.exceptions import TaskDeferred
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from rebake import tags
from rebake.exceptions import ConfigError, ImageError, ProbeFailedError
from rebake.hooks.bases import BasesHook
from rebake.operators.assert_base import INSPECTION, AssertBaseOperator
from rebake.operators.record_base import RecordBaseOperator
from tests.support.aws import BUCKET, CONNECTION, REGION, object_keys, read_json, tag_list
from tests.support.task import RUN_TAG, context
from tests.unit.base.base_facts import DECLARED, LINES, encoded, instead

FAMILY = "strict"


class Cloud:
    """An account with the environment's bucket."""

    def __init__(self, s3: Any) -> None:
        self.ec2: Any = boto3.client("ec2", region_name=REGION)
        self.s3 = s3
        self.ssm: Any = boto3.client("ssm", region_name=REGION)

    def image(self, name: str, imds_support: str = "v2.0") -> str:
        """Return a new image."""
        ami_id: str = self.ec2.register_image(Name=name)["ImageId"]
        labels = {tags.FINGERPRINT: "f" * 64, tags.BASE_AMI: "ami-0vendor", tags.TEMPLATE_VERSION: "1.1.0"}
        self.ec2.create_tags(Resources=[ami_id], Tags=tag_list(labels))
        # moto takes no ImdsSupport from a request, but tells it.
        kept: Any = ec2_backends[DEFAULT_ACCOUNT_ID][REGION].amis[ami_id]
        kept.imds_support = imds_support or None
        return ami_id

    def promote(self, ami_id: str) -> None:
        """Make an image the family's base."""
        self.ssm.put_parameter(Name=f"/rebake/bases/{FAMILY}/current", Value=ami_id, Type="String", Overwrite=True)

    def boot(self, ami_id: str) -> str:
        """Return an instance of the image."""
        return str(self.ec2.run_instances(ImageId=ami_id, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"])


@pytest.fixture
def cloud(s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, project: Any) -> Cloud:
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path))
    family = {
        "name": FAMILY,
        "description": "As the tests declare it.",
        "source_parameter": "/vendor/debian",
        "package_manager": "apt",
        "ssh_username": "admin",
        "assertions": DECLARED,
    }
    for folder in ("bases", "environments"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bases" / f"{FAMILY}.yaml").write_text(yaml.safe_dump(family), encoding="utf-8")
    local = (project / "config" / "environments" / "local.yaml").read_text(encoding="utf-8")
    (tmp_path / "environments" / "local.yaml").write_text(local, encoding="utf-8")
    return Cloud(s3)


def _judge(instance_id: str, *lines: str) -> dict[str, Any]:
    operator = AssertBaseOperator(task_id="probe", instance_id=instance_id, base=FAMILY)
    event = {
        "ok": True,
        "message": "all checks passed",
        "report": {"instance_id": "i-1", "seconds": 1, "checks": []},
        "outputs": {INSPECTION: encoded(*lines)},
    }
    return operator.execute_complete(context(), event)


def _record(ami_id: str, *lines: str) -> dict[str, Any]:
    report = {
        "instance_id": "i-1",
        "checks": [],
        "assertions": [{"assertion": "imds_v2", "ok": True, "expected": "v2.0", "found": "v2.0"}],
        "inspection": encoded(*lines or LINES),
    }
    operator = RecordBaseOperator(task_id="record_base", ami_id=ami_id, base=FAMILY, report=report)
    return operator.execute(context())


def test_the_instance_is_asked_what_it_is_like_besides_the_familys_checks(cloud: Cloud) -> None:
    operator = AssertBaseOperator(task_id="probe", instance_id="i-1", base=FAMILY)

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context())

    checks = {check.name: check for check in deferred.value.trigger.checks}
    assert list(checks) == ["runs a command", INSPECTION]
    assert [check.keeps_output for check in checks.values()] == [False, True]


def test_an_image_that_is_as_declared_passes_with_a_verdict_on_each_assertion(cloud: Cloud) -> None:
    report = _judge(cloud.boot(cloud.image("good")), *LINES)

    assert [verdict for verdict in report["assertions"] if not verdict["ok"]] == []
    assert {"assertion": "imds_v2", "ok": True, "expected": "ImdsSupport v2.0", "found": "ImdsSupport v2.0"} in report[
        "assertions"
    ]
    assert report["inspection"] == encoded(*LINES)


def test_an_image_that_breaks_assertions_fails_with_all_of_them(cloud: Cloud) -> None:
    ami_id = cloud.image("bad", imds_support="")
    lines = instead("sysctl", "sysctl\tnet.ipv4.ip_forward\t1", "package\ttelnetd\t0.17-1\tamd64")

    with pytest.raises(ProbeFailedError) as failure:
        _judge(cloud.boot(ami_id), *lines)

    assert str(failure.value).splitlines() == [
        f"base {FAMILY} {ami_id} is bad: 3 of 20 assertions failed:",
        "packages.absent telnetd: expected absent, found version 0.17-1",
        "sysctls net.ipv4.ip_forward: expected 0, found 1",
        "imds_v2: expected ImdsSupport v2.0, found ImdsSupport unset",
    ]


def test_an_instance_whose_report_is_cut_passes_nothing(cloud: Cloud) -> None:
    with pytest.raises(ImageError, match="has no end"):
        _judge(cloud.boot(cloud.image("cut")), *LINES[:-1])


def test_the_first_base_is_recorded_with_nothing_to_compare_with(cloud: Cloud) -> None:
    ami_id = cloud.image("first")

    keys = _record(ami_id)

    record = read_json(cloud.s3, keys["record"])
    assert sorted(object_keys(cloud.s3)) == sorted([keys["record"], keys["sbom"], keys["diff"]])
    assert keys["sbom"] == f"sboms/{FAMILY}/{ami_id}.cdx.json"
    assert record["ami_id"] == ami_id
    assert record["family"] == FAMILY
    assert record["source_image"] == "ami-0vendor"
    assert record["dag_run"] == RUN_TAG
    assert record["packages"] == 2
    assert record["previous_ami"] is None
    assert read_json(cloud.s3, keys["diff"])["compared"] is False
    assert {component["name"] for component in read_json(cloud.s3, keys["sbom"])["components"]} == {"sudo", "curl"}


def test_the_next_base_is_compared_with_the_one_that_is_promoted(cloud: Cloud) -> None:
    first, second = cloud.image("first"), cloud.image("second")
    _record(first)
    cloud.promote(first)
    keys = _record(second, *instead("package\tcurl", "package\tcurl\t7.88.1-11\tamd64"))

    assert keys["previous_ami"] == first
    assert read_json(cloud.s3, keys["diff"])["changed"] == [
        {"name": "curl", "from": ["7.88.1-10"], "to": ["7.88.1-11"]}
    ]
    assert keys["difference"] == read_json(cloud.s3, keys["diff"])


def test_a_retry_after_the_promotion_finds_the_record_and_changes_nothing(cloud: Cloud) -> None:
    first, second = cloud.image("first"), cloud.image("second")
    cloud.promote(first)
    keys = _record(second)
    before = {key: read_json(cloud.s3, key) for key in object_keys(cloud.s3)}
    cloud.promote(second)

    assert _record(second, *instead("package\tcurl")) == keys
    assert {key: read_json(cloud.s3, key) for key in object_keys(cloud.s3)} == before


def test_a_try_that_was_killed_before_the_record_is_finished_by_the_next(cloud: Cloud) -> None:
    ami_id = cloud.image("first")
    keys = _record(ami_id)
    cloud.s3.delete_object(Bucket=BUCKET, Key=keys["record"])

    assert _record(ami_id) == keys
    assert read_json(cloud.s3, keys["record"])["ami_id"] == ami_id


def test_a_familys_records_come_newest_first_however_many_there_are(cloud: Cloud) -> None:
    made = []
    for number in range(3):
        ami_id = cloud.image(f"image-{number}")
        ec2_backends[DEFAULT_ACCOUNT_ID][REGION].amis[ami_id].creation_date = datetime(
            2026, number + 1, 1, 3, tzinfo=UTC
        )
        made.append(ami_id)
    for ami_id in (made[1], made[0], made[2]):
        _record(ami_id)

    records = list(BasesHook(**CONNECTION).records(BUCKET, FAMILY))

    assert [record.ami_id for record in records] == made[::-1]
    assert records[0].baked_at.month == 3


def test_without_the_bucket_the_way_out_is_named(cloud: Cloud) -> None:
    cloud.s3.delete_bucket(Bucket=BUCKET)

    with pytest.raises(ConfigError, match="make it, or correct `bucket`"):
        _record(cloud.image("first"))
