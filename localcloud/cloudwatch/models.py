"""moto's CloudWatch backend, which refuses what AWS refuses."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricDatumBase, Statistics

from localcloud.adoption import AdoptedBackend

HOUR = 3600
DAY, WEEK = 24 * HOUR, 7 * 24 * HOUR
MOST_DATA = 1000
MOST_VALUES = 150
MOST_DATAPOINTS = 1440
OLDEST, NEWEST = timedelta(weeks=2), timedelta(hours=2)
SHORT_PERIODS = frozenset({1, 5, 10, 20, 30})
SHORT_ALARM_PERIODS = frozenset({10, 20, 30})


class LocalCloudWatchBackend(AdoptedBackend, CloudWatchBackend):
    """Keeps moto's records."""

    def put_metric_alarm(self, name: str, *args: Any, **kwargs: Any) -> Alarm:
        """Record an alarm. A new one has no data; an existing one keeps its state."""
        if not kwargs.get("rule"):
            _check_alarm(kwargs)
        previous = self.alarms.get(name)
        alarm = super().put_metric_alarm(name, *args, **kwargs)
        alarm.state_value = "INSUFFICIENT_DATA"
        if previous:
            for kept in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
                setattr(alarm, kept, getattr(previous, kept))
        return alarm

    def put_metric_data(self, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        """Record data, by the minute unless they are of high resolution."""
        if namespace.startswith("AWS/"):
            raise InvalidParameterValue("The value AWS/ for parameter Namespace is invalid.")
        _check_size("MetricData", metric_data, MOST_DATA)
        now = datetime.now(UTC)
        data = []
        for number, datum in enumerate(metric_data, 1):
            member = f"MetricData.member.{number}"
            _check_size(f"{member}.Values", datum.get("Values") or [], MOST_VALUES)
            timestamp = datum.get("Timestamp") or now
            aware = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
            if not now - OLDEST <= aware <= now + NEWEST:
                raise InvalidParameterValue(
                    f"The parameter {member}.Timestamp must specify a time within the past two weeks and no more than "
                    "two hours in the future."
                )
            if datum.get("StorageResolution") != 1:
                aware = aware.replace(second=0)
            data.append({**datum, "Timestamp": aware.replace(microsecond=0, tzinfo=None)})
        super().put_metric_data(namespace, data)

    def get_metric_statistics(
        self,
        namespace: str,
        metric_name: str,
        start_time: datetime,
        end_time: datetime,
        period: int,
        stats: list[str],
        dimensions: list[dict[str, str]],
        unit: str | None = None,
    ) -> list[Statistics]:
        """Return statistics of one metric, and of no others that have its dimensions and more, as moto does."""
        if period % 60 and period not in SHORT_PERIODS:
            raise InvalidParameterValue("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
        points = int((end_time - start_time).total_seconds() // period)
        if points > MOST_DATAPOINTS:
            raise InvalidParameterCombination(
                f"You have requested up to {points:,} datapoints, which exceeds the limit of {MOST_DATAPOINTS:,}. You "
                "may reduce the datapoints requested by increasing Period, or decreasing the time range."
            )
        exact = copy.copy(self)
        wanted = sorted((each["Name"], each["Value"]) for each in dimensions)
        exact.metric_data = [datum for datum in self.metric_data if _dimensions(datum) == wanted]
        return super(LocalCloudWatchBackend, exact).get_metric_statistics(
            namespace, metric_name, start_time, end_time, period, stats, dimensions, unit
        )

    def get_filtered_metrics(
        self, metric_name: str, namespace: str, dimensions: list[dict[str, str]]
    ) -> list[MetricDatumBase]:
        """Return each metric once; moto repeats those without dimensions, and compares each with all."""
        found: dict[Any, MetricDatumBase] = {}
        for datum in self.get_all_metrics():
            key = (datum.namespace, datum.name, *_dimensions(datum))
            if key not in found and datum.filter(namespace, metric_name, dimensions):
                found[key] = datum
        return list(found.values())


def _dimensions(datum: MetricDatumBase) -> list[tuple[str, str]]:
    return sorted((str(each.name), str(each.value)) for each in datum.dimensions)


def _check_size(name: str, values: list[Any], most: int) -> None:
    if len(values) > most:
        raise InvalidParameterValue(f"The collection {name} must not have a size greater than {most}.")


def _check_alarm(alarm: dict[str, Any]) -> None:
    """Refuse an alarm that lacks what is required (in our texts), or looks back too far."""
    required = ["comparison_operator", "evaluation_periods"]
    if alarm.get("threshold_metric_id") is None:
        required.append("threshold")
    if not alarm.get("metric_data_queries"):
        required += ["metric_name", "namespace", "period"]
        if bool(alarm.get("statistic")) == bool(alarm.get("extended_statistic")):
            raise ValidationError("Either Statistic or ExtendedStatistic must be specified, and not both.")
    for name in required:
        if alarm.get(name) is None:
            raise ValidationError(f"The parameter {name.title().replace('_', '')} is required.")
    periods, period = int(alarm["evaluation_periods"]), int(alarm.get("period") or 0)
    if int(alarm.get("datapoints_to_alarm") or 0) > periods:
        raise ValidationError("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    if period % 60 and period not in SHORT_ALARM_PERIODS:
        raise ValidationError("Period must be 10, 20, 30 or a multiple of 60")
    longest, word, sign = (DAY, "day", "<") if period < HOUR else (WEEK, "week", ">=")
    if periods * period > longest:
        raise ValidationError(
            f"Metrics cannot be checked across more than a {word} (EvaluationPeriods * Period must be <= {longest}) "
            f"for alarms using period {sign} {HOUR}"
        )
