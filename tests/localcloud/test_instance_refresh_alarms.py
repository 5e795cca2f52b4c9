"""CloudWatch alarms that guard a refresh; their states are set through the API."""

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.fleet_fakes import World, client


@pytest.fixture
def small(small: World) -> World:
    small.create_group()
    for name in ("errors", "latency"):
        client("cloudwatch").put_metric_alarm(
            AlarmName=name, Namespace="web", MetricName=name, ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1, Period=60, Threshold=1, Statistic="Sum",
        )  # fmt: skip
    return small


def put(name: str, state: str) -> None:
    client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def guarded(small: World, **preferences: object) -> str:
    return small.refresh_to("2", AlarmSpecification={"Alarms": ["errors", "latency"]}, **preferences)


@pytest.mark.parametrize(("auto_rollback", "status"), [(False, "Failed"), (True, "RollbackSuccessful")])
def test_alarm_fails_a_refresh_or_rolls_it_back(small: World, auto_rollback: bool, status: str) -> None:
    """An alarm that goes off midway ends the refresh; with AutoRollback every instance returns."""
    guarded(small, AutoRollback=auto_rollback)
    small.run_until(lambda: small.newest["PercentageComplete"] >= 33)
    put("latency", "ALARM")
    refresh = small.run_refresh()

    assert refresh["Status"] == status
    assert "latency" in (refresh["RollbackDetails"]["RollbackReason"] if auto_rollback else refresh["StatusReason"])
    assert ("2" in small.versions()) == (not auto_rollback)
    assert small.group["LaunchTemplate"]["Version"] == "1"
    assert small.least_serving() == 3


@pytest.mark.parametrize(("auto_rollback", "status"), [(False, "Failed"), (True, "RollbackSuccessful")])
def test_alarm_counts_while_baking(small: World, auto_rollback: bool, status: str) -> None:
    guarded(small, AutoRollback=auto_rollback, BakeTime=600)
    small.run_until(lambda: small.newest["Status"] == "Baking")
    put("errors", "ALARM")

    assert small.run_refresh()["Status"] == status
    assert small.versions() == (["1"] * 3 if auto_rollback else ["2"] * 3)


def test_alarm_counts_at_a_checkpoint(small: World) -> None:
    guarded(small, AutoRollback=True, CheckpointPercentages=[30, 100])
    small.run_until(lambda: "checkpoint" in small.newest.get("StatusReason", ""))
    put("errors", "ALARM")

    assert small.run_refresh()["Status"] == "RollbackSuccessful"


def test_alarm_that_is_off_already_ends_the_refresh_before_it_replaces(small: World) -> None:
    before = {each["InstanceId"] for each in small.instances()}
    put("errors", "ALARM")
    guarded(small)

    assert small.run_refresh()["Status"] == "Failed"
    assert before == {each["InstanceId"] for each in small.instances()}


def test_insufficient_data_and_ok_fail_nothing(small: World) -> None:
    put("errors", "INSUFFICIENT_DATA")
    guarded(small)

    assert small.run_refresh()["Status"] == "Successful"


def test_other_alarms_fail_nothing(small: World) -> None:
    put("latency", "ALARM")
    small.refresh_to("2", AlarmSpecification={"Alarms": ["errors"]})

    assert small.run_refresh()["Status"] == "Successful"


def test_alarm_deleted_midway_fails_nothing(small: World) -> None:
    guarded(small)
    small.run(5)
    client("cloudwatch").delete_alarms(AlarmNames=["errors"])

    assert small.run_refresh()["Status"] == "Successful"


def test_alarm_does_not_stop_a_rollback(small: World) -> None:
    guarded(small)
    small.run_until(lambda: small.newest["PercentageComplete"] >= 33)
    small.asg.rollback_instance_refresh(AutoScalingGroupName="web")
    put("errors", "ALARM")

    assert small.run_refresh()["Status"] == "RollbackSuccessful"


def test_alarms_are_echoed(small: World) -> None:
    guarded(small)

    assert small.refresh["Preferences"]["AlarmSpecification"] == {"Alarms": ["errors", "latency"]}


def test_unknown_alarm_is_refused(small: World) -> None:
    with pytest.raises(ClientError) as caught:
        small.refresh_to("2", AlarmSpecification={"Alarms": ["errors", "nope"]})

    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert "no CloudWatch alarm nope" in caught.value.response["Error"]["Message"]
