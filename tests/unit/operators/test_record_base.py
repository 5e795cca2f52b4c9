"""The stage record_base: the record of a base image, its bill of materials, and what is new in it."""

from typing import Any

import pytest

from rebake.exceptions import ConfigError
from rebake.operators.record_base import RecordBaseOperator
from tests.support.aws import BUCKET, object_keys, read_json
from tests.support.task import RUN_TAG, context
from tests.unit.base.base_facts import FAMILY, LINES, BaseCloud, encoded, instead


def _record(ami_id: str, *lines: str) -> dict[str, Any]:
    report = {
        "instance_id": "i-1",
        "checks": [],
        "assertions": [{"assertion": "imds_v2", "ok": True, "expected": "v2.0", "found": "v2.0"}],
        "inspection": encoded(*lines or LINES),
    }
    operator = RecordBaseOperator(task_id="record_base", ami_id=ami_id, base=FAMILY, report=report)
    return operator.execute(context())


def test_the_first_base_is_recorded_with_nothing_to_compare_with(base_cloud: BaseCloud) -> None:
    ami_id = base_cloud.image("first")

    keys = _record(ami_id)

    record = read_json(base_cloud.s3, keys["record"])
    assert sorted(object_keys(base_cloud.s3)) == sorted([keys["record"], keys["sbom"], keys["diff"]])
    assert keys["sbom"] == f"sboms/{FAMILY}/{ami_id}.cdx.json"
    facts = {"ami_id": ami_id, "family": FAMILY, "source_image": "ami-0vendor", "dag_run": RUN_TAG, "packages": 2}
    assert record == {**record, **facts, "previous_ami": None, "baked_at": "2026-10-01T03:00:00Z"}
    assert read_json(base_cloud.s3, keys["diff"])["compared"] is False
    assert {component["name"] for component in read_json(base_cloud.s3, keys["sbom"])["components"]} == {"sudo", "curl"}


def test_the_next_base_is_compared_with_the_one_that_is_promoted(base_cloud: BaseCloud) -> None:
    first, second = base_cloud.image("first"), base_cloud.image("second")
    _record(first)
    base_cloud.promote(first)
    keys = _record(second, *instead("package\tcurl", "package\tcurl\t7.88.1-11\tamd64"))

    assert keys["previous_ami"] == first
    assert keys["difference"]["changed"] == [{"name": "curl", "from": ["7.88.1-10"], "to": ["7.88.1-11"]}]
    assert keys["difference"] == read_json(base_cloud.s3, keys["diff"])


def test_a_retry_after_the_promotion_finds_the_record_and_changes_nothing(base_cloud: BaseCloud) -> None:
    first, second = base_cloud.image("first"), base_cloud.image("second")
    base_cloud.promote(first)
    keys = _record(second)
    before = {key: read_json(base_cloud.s3, key) for key in object_keys(base_cloud.s3)}
    base_cloud.promote(second)

    assert _record(second, *instead("package\tcurl")) == keys
    assert {key: read_json(base_cloud.s3, key) for key in object_keys(base_cloud.s3)} == before


def test_a_try_that_was_killed_before_the_record_is_finished_by_the_next(base_cloud: BaseCloud) -> None:
    ami_id = base_cloud.image("first")
    keys = _record(ami_id)
    base_cloud.s3.delete_object(Bucket=BUCKET, Key=keys["record"])

    assert _record(ami_id) == keys
    assert read_json(base_cloud.s3, keys["record"])["ami_id"] == ami_id


def test_without_the_bucket_the_way_out_is_named(base_cloud: BaseCloud) -> None:
    base_cloud.s3.delete_bucket(Bucket=BUCKET)

    with pytest.raises(ConfigError, match="which makes it, or correct `bucket`"):
        _record(base_cloud.image("first"))
