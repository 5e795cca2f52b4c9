"""A base image is recorded and promoted only when it is as its family declares."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from rebake import config
from rebake.image.channels import CURRENT, base_name, parameter_name
from rebake.image.recipe import base_asset_uri
from stack.api import error_of
from stack.follow import RunOutcome
from stack.load import Load
from stack.up import Stack
from tests.e2e.support import DEMANDING, Runs

pytestmark = [pytest.mark.engine, pytest.mark.e2e]

BUCKET = "rebake-local"


def _read(stack: Stack, key: str) -> str:
    return str(stack.cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode())


def _events(stack: Stack, family: str) -> list[dict[str, Any]]:
    """Return the events of a family's asset."""
    listed = stack.api._call("GET", "/assets/events?limit=1000").json()["asset_events"]
    return [event for event in listed if event["uri"] == base_asset_uri(family)]


def _recorded(stack: Stack, base: RunOutcome) -> dict[str, Any]:
    keys = stack.api.xcom(base.dag_id, base.run_id, "record_base")
    record: dict[str, Any] = json.loads(_read(stack, keys["record"]))
    return record


def test_a_promoted_base_has_a_record_of_where_it_comes_from_and_what_was_asserted(
    stack: Stack, base: RunOutcome
) -> None:
    ami_id = stack.api.xcom(base.dag_id, base.run_id, "bake")["ami_id"]
    record = _recorded(stack, base)

    parameter = stack.cloud.client("ssm").get_parameter(Name=parameter_name(base_name("debian-12"), CURRENT))[
        "Parameter"
    ]
    (image,) = stack.cloud.client("ec2").describe_images(ImageIds=[ami_id])["Images"]
    assert parameter["Value"] == record["ami_id"] == ami_id
    assert record["dag_run"] == f"{base.dag_id}/{base.run_id}"
    assert image["ImdsSupport"] == "v2.0"
    assert len(record["assertions"]) > 40
    assert [verdict for verdict in record["assertions"] if not verdict["ok"]] == []


def test_a_promoted_base_has_a_bill_of_every_package_in_it(stack: Stack, base: RunOutcome) -> None:
    record = _recorded(stack, base)
    bill = _read(stack, record["sbom"])

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    purls = [component["purl"] for component in json.loads(bill)["components"]]
    assert len(purls) == record["packages"] > 50
    assert [purl for purl in purls if purl.startswith("pkg:deb/debian/openssh-server@")]


def test_the_event_of_a_promoted_base_carries_its_image(stack: Stack, base: RunOutcome) -> None:
    record = _recorded(stack, base)

    assert record["ami_id"] in [event["extra"]["ami_id"] for event in _events(stack, "debian-12")]


def test_a_base_that_is_not_as_declared_is_not_promoted_and_the_base_before_stands(
    stack: Stack, base: RunOutcome, bases: Runs
) -> None:
    before = stack.api.xcom(base.dag_id, base.run_id, "bake")["ami_id"]
    ssm, s3 = stack.cloud.client("ssm"), stack.cloud.client("s3")

    outcome = bases.outcome(DEMANDING)

    assert outcome.state == "failed"
    tasks = {task.name: task for task in stack.api.tasks(outcome.dag_id, outcome.run_id)}
    message = error_of(stack.api.log(outcome.dag_id, outcome.run_id, tasks["test_image.probe"]))
    ami_id = stack.api.xcom(outcome.dag_id, outcome.run_id, "bake")["ami_id"]
    assert f"base {DEMANDING} {ami_id} is bad: 3 of " in message
    assert "packages.installed no-such-package: expected installed, found absent" in message
    assert "packages.absent sudo: expected absent, found version" in message
    assert "ports: expected none, found also 22/tcp" in message
    assert {tasks[name].state for name in ("record_base", "promote_ami")} == {"upstream_failed"}
    assert tasks["test_image.terminate"].state == "success"
    assert ssm.get_parameter(Name=parameter_name(base_name(DEMANDING), CURRENT))["Parameter"]["Value"] == before
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix=f"bases/{DEMANDING}/").get("KeyCount") == 0
    assert _events(stack, DEMANDING) == []


def test_a_run_for_all_families_lets_none_of_them_keep_the_others_from_a_new_base(
    stack: Stack, bases: Runs, second: tuple[RunOutcome, Load]
) -> None:
    """Amazon Linux has no vendor's image in the embedded cloud, and the demanding family no good one."""
    assert bases.outcome("all").state == "success"
    states = {family: bases.outcome(f"all: {family}").state for family in config.base_names()}
    assert states == {"amazon-linux-2023": "failed", DEMANDING: "failed", "debian-12": "success"}
    with pytest.raises(ClientError, match="ParameterNotFound"):
        stack.cloud.client("ssm").get_parameter(Name=parameter_name(base_name("amazon-linux-2023"), CURRENT))
