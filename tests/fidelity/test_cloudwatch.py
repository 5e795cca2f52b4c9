"""Facts of CloudWatch: alarms and metrics."""

import contextlib
import datetime as dt
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fidelity.refusals import refused
from tests.fidelity.sources import cloudwatch
from tests.localcloud.server_support import Server

SERVICE = "CloudWatch"


@pytest.fixture
def watch(cloud: Server) -> Any:
    """The client."""
    return cloud.client("cloudwatch")


def put(watch: Any, name: str, **changes: Any) -> None:
    """Put an alarm; a change to None leaves a parameter out."""
    request = {
        "AlarmName": name, "Namespace": "Own", "MetricName": "errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 2, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold", **changes,
    }  # fmt: skip
    watch.put_metric_alarm(**{name: value for name, value in request.items() if value is not None})


def state(watch: Any, name: str) -> str:
    """Return an alarm's state."""
    return str(watch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])


@pytest.mark.fact("A new alarm has INSUFFICIENT_DATA", cloudwatch("PutMetricAlarm"))
@pytest.mark.fact("An alarm that is put again keeps its state", cloudwatch("PutMetricAlarm"))
def test_state_of_an_alarm(watch: Any) -> None:
    put(watch, "state")
    first = state(watch, "state")
    watch.set_alarm_state(AlarmName="state", StateValue="ALARM", StateReason="test")
    put(watch, "state", Threshold=2.0)

    assert (first, state(watch, "state")) == ("INSUFFICIENT_DATA", "ALARM")


@pytest.mark.fact("An alarm is evaluated, and its state set", cloudwatch("PutMetricAlarm"),
                  wrong="states change by SetAlarmState only")  # fmt: skip
def test_alarms_are_evaluated(watch: Any) -> None:
    put(watch, "evaluated", TreatMissingData="notBreaching")

    assert state(watch, "evaluated") == "OK"


@pytest.mark.fact("An alarm on a static threshold needs metric, statistic, period, periods, threshold and operator",
                  cloudwatch("PutMetricAlarm"))  # fmt: skip
def test_incomplete_alarms_are_refused(watch: Any) -> None:
    names = ("Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator")
    for name in names:
        with refused("ValidationError"):
            put(watch, "incomplete", **{name: None})

    assert watch.describe_alarms(AlarmNames=["incomplete"])["MetricAlarms"] == []


@pytest.mark.fact("DatapointsToAlarm is at most EvaluationPeriods", cloudwatch("PutMetricAlarm"))
@pytest.mark.fact("A period is 10, 20, 30 or a multiple of 60 seconds", cloudwatch("PutMetricAlarm"))
@pytest.mark.fact("An alarm looks back a day at most, or a week by the hour", cloudwatch("PutMetricAlarm"))
def test_periods_of_an_alarm(watch: Any) -> None:
    with refused("ValidationError", text="DatapointsToAlarm must be less than or equal to EvaluationPeriods"):
        put(watch, "periods", DatapointsToAlarm=3)
    with refused("ValidationError"):
        put(watch, "periods", Period=45)
    with refused("ValidationError", text="Metrics cannot be checked across more than a day"):
        put(watch, "periods", Period=300, EvaluationPeriods=289)
    with refused("ValidationError", text="Metrics cannot be checked across more than a week"):
        put(watch, "periods", Period=3600, EvaluationPeriods=169)
    put(watch, "periods", Period=3600, EvaluationPeriods=168)


@pytest.mark.fact("DescribeAlarms leaves out names that do not exist", cloudwatch("DescribeAlarms"))
def test_describing_unknown_alarms_is_no_error(watch: Any) -> None:
    assert watch.describe_alarms(AlarmNames=["none"])["MetricAlarms"] == []


@pytest.mark.fact("Composite alarms are described on request only", cloudwatch("DescribeAlarms"))
@pytest.mark.fact("Names and state narrow the alarms described together", cloudwatch("DescribeAlarms"))
def test_alarms_are_found(watch: Any) -> None:
    put(watch, "part")
    watch.put_composite_alarm(AlarmName="whole", AlarmRule="ALARM(part)")
    names = ["part", "whole"]
    both = watch.describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"])

    assert watch.describe_alarms(AlarmNames=names).get("CompositeAlarms", []) == []
    assert [each["AlarmName"] for each in both["CompositeAlarms"]] == ["whole"]
    assert watch.describe_alarms(AlarmNames=names, StateValue="ALARM")["MetricAlarms"] == []


@pytest.mark.fact("Alarms are described in pages", cloudwatch("DescribeAlarms"))
def test_alarms_have_pages(watch: Any) -> None:
    for number in range(3):
        put(watch, f"page-{number}")
    first = watch.describe_alarms(AlarmNamePrefix="page-", MaxRecords=2)
    second = watch.describe_alarms(AlarmNamePrefix="page-", MaxRecords=2, NextToken=first["NextToken"])

    assert [len(page["MetricAlarms"]) for page in (first, second)] == [2, 1]
    with refused("InvalidNextToken"):
        watch.describe_alarms(NextToken="none")


@pytest.mark.fact("The state of an alarm that does not exist cannot be set", cloudwatch("SetAlarmState"))
def test_unknown_alarms_have_no_state(watch: Any) -> None:
    with refused("ResourceNotFound", status=404):
        watch.set_alarm_state(AlarmName="none", StateValue="OK", StateReason="test")


@pytest.mark.fact("An unknown name does not keep the others from being deleted", cloudwatch("DeleteAlarms"))
def test_known_alarms_are_deleted(watch: Any) -> None:
    put(watch, "known")
    with contextlib.suppress(ClientError):
        watch.delete_alarms(AlarmNames=["none", "known"])

    assert watch.describe_alarms(AlarmNames=["known"])["MetricAlarms"] == []


@pytest.mark.fact("A request has at most 1000 metrics, of at most 150 values", cloudwatch("PutMetricData"))
@pytest.mark.fact("Data are of the past two weeks, or the next two hours", cloudwatch("PutMetricData"))
@pytest.mark.fact("Namespaces that begin with AWS/ are reserved", cloudwatch("PutMetricData"))
@pytest.mark.fact("NaN is no value", cloudwatch("MetricDatum"))
def test_limits_of_metric_data(watch: Any) -> None:
    def put_data(namespace: str = "Own", count: int = 1, **datum: Any) -> None:
        watch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "limits", **datum}] * count)

    now = dt.datetime.now(dt.UTC)
    for age in (dt.timedelta(days=15), dt.timedelta(hours=-3)):
        with refused("InvalidParameterValue"):
            put_data(Value=1.0, Timestamp=now - age)
    with refused("InvalidParameterValue"):
        put_data(Value=1.0, count=1001)
    with refused("InvalidParameterValue"):
        put_data(Values=[1.0] * 151)
    with refused("InvalidParameterValue"):
        put_data(Value=float("nan"))
    with refused("InvalidParameterValue"):
        put_data(namespace="AWS/Own", Value=1.0)

    assert watch.list_metrics(Namespace="Own", MetricName="limits")["Metrics"] == []


def statistics(watch: Any, metric: str, **changes: Any) -> list[dict[str, Any]]:
    """Return a metric's statistics of the past hour."""
    now = dt.datetime.now(dt.UTC)
    request = {
        "Namespace": "Own", "MetricName": metric, "StartTime": now - dt.timedelta(hours=1),
        "EndTime": now + dt.timedelta(minutes=1), "Period": 60, "Statistics": ["Sum", "Average"], **changes,
    }  # fmt: skip
    points: list[dict[str, Any]] = watch.get_metric_statistics(**request)["Datapoints"]
    return points


@pytest.mark.fact("Data are kept by the minute", cloudwatch("MetricDatum"))
@pytest.mark.fact("A metric is listed once", cloudwatch("ListMetrics"))
def test_data_of_a_minute_are_one_point(watch: Any) -> None:
    minute = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) - dt.timedelta(minutes=10)
    data = [
        {"MetricName": "minute", "Value": value, "Timestamp": minute + dt.timedelta(seconds=second)}
        for second, value in ((10, 1.0), (50, 3.0))
    ]
    watch.put_metric_data(Namespace="Own", MetricData=data)
    (point,) = statistics(watch, "minute")

    assert (point["Timestamp"], point["Sum"], point["Average"]) == (minute, 4.0, 2.0)
    assert len(watch.list_metrics(Namespace="Own", MetricName="minute")["Metrics"]) == 1


@pytest.mark.fact("Each combination of dimensions is a metric of its own", cloudwatch("GetMetricStatistics"))
def test_dimensions_tell_metrics_apart(watch: Any) -> None:
    dimensions = [{"Name": "zone", "Value": "a"}]
    watch.put_metric_data(Namespace="Own", MetricData=[{"MetricName": "dim", "Value": 1.0, "Dimensions": dimensions}])

    assert statistics(watch, "dim") == []
    assert len(statistics(watch, "dim", Dimensions=dimensions)) == 1


@pytest.mark.fact("GetMetricStatistics returns at most 1440 data points", cloudwatch("GetMetricStatistics"))
@pytest.mark.fact("Statistics are required", cloudwatch("GetMetricStatistics"))
@pytest.mark.fact("A period of statistics is 1, 5, 10, 20, 30 or a multiple of 60 seconds",
                  cloudwatch("GetMetricStatistics"))  # fmt: skip
def test_limits_of_statistics(watch: Any) -> None:
    with refused("InvalidParameterCombination", text="which exceeds the limit of 1,440"):
        statistics(watch, "none", StartTime=dt.datetime.now(dt.UTC) - dt.timedelta(days=2))
    with refused("InvalidParameterCombination"):
        watch.get_metric_statistics(
            Namespace="Own", MetricName="none", Period=60, StartTime=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1),
            EndTime=dt.datetime.now(dt.UTC),
        )  # fmt: skip
    with refused("InvalidParameterValue"):
        statistics(watch, "none", Period=45)
