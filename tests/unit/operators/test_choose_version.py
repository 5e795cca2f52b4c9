"""The stage choose_version: which version of a service moves to the new base."""

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from rebake.operators.choose_version import ChooseVersionOperator
from rebake.release import lease
from rebake.triggers.lease import LeaseTrigger
from tests.support.aws import BUCKET
from tests.support.releases import acquire_lease, put_record, record
from tests.support.task import context, deferral


def _choose(task: Any) -> dict[str, str]:
    return ChooseVersionOperator(task_id="choose_version", service="webapp").execute(task)


def test_the_version_of_the_current_release_is_what_moves_to_the_new_base(aws: Any) -> None:
    put_record(aws.s3, record(2, outcome="rolled_back"))
    task = context()

    assert _choose(task) == {
        "version": "1.1.0",
        "commit": record(1).commit,
        "build_id": "77",
        "release_id": "webapp-20261123T183001-1.1.0",
        "base_ami": "ami-0new",
    }


def test_after_a_rollback_it_is_the_version_that_was_rolled_back_to(aws: Any) -> None:
    put_record(aws.s3, record(2))
    back = record(3, kind="rollback", restores=record(1).release_id, version="1.1.0", ami_id="ami-01")
    put_record(aws.s3, back)

    assert _choose(context())["version"] == "1.1.0"


def test_a_service_on_the_newest_base_is_skipped_with_the_reason(aws: Any) -> None:
    aws.ssm.put_parameter(Name="/rebake/bases/debian-12/current", Value="ami-0ba5e", Type="String", Overwrite=True)
    task = context()

    with pytest.raises(AirflowSkipException, match="is baked on ami-0ba5e, the newest of debian-12"):
        _choose(task)

    assert "is baked on ami-0ba5e" in task["ti"].pushed["failure"]["message"]


def test_a_service_that_was_never_released_is_skipped(aws: Any) -> None:
    with pytest.raises(AirflowSkipException, match="pages was never released"):
        ChooseVersionOperator(task_id="choose_version", service="pages").execute(context())


def test_a_run_that_is_changing_the_service_is_waited_for(aws: Any) -> None:
    acquire_lease(aws.s3, "rollback_webapp/x")

    assert isinstance(deferral(_choose, context()).trigger, LeaseTrigger)
    lease.release(aws.s3, BUCKET, "webapp", "rollback_webapp/x")
    operator = ChooseVersionOperator(task_id="choose_version", service="webapp")
    assert operator.lease_ended(context(), {"token": 1})["version"] == "1.1.0"
