"""The task `report`: how it went with each service that a new base concerns."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake import config
from rebake.estate.dependents import STAGES, DependentResult, FoundDependents, TaskResult, result_of
from rebake.estate.report import REBAKE, Report, Table
from rebake.estate.tasks import EstateTask
from rebake.exceptions import ConfigError
from rebake.hooks.reports import ReportsHook
from rebake.operators.find_dependents import FOUND
from rebake.release.results import FAILURE
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.run_facts import task_states
from rebake.stages.tooling import reachable, run_tag


class ReportRebakesOperator(EnvironmentConnection, AwsBaseOperator[ReportsHook]):
    """Write a report of the run, and return its object key.

    As a teardown it runs however the services came out; each of them decides the run's state itself.

    Args:
        group: id of the mapped group, a part for each service.
    """

    aws_hook_class = ReportsHook
    template_fields: Sequence[str] = aws_template_fields("group")

    def __init__(self, *, group: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = group

    def execute(self, context: Context) -> str:
        """Return the key."""
        found = FoundDependents.model_validate(self._pull(context, FOUND) or {})
        services = [*self._results(context), *found.skipped]
        families = ", ".join(found.families)
        counts = Counter(one.outcome for one in services)
        result = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no service bakes on it"
        report = Report(
            kind=REBAKE,
            environment=self.environment.name,
            region=self.environment.region,
            at=datetime.now(UTC),
            title=f"New base {families or '(unknown)'}: {result}",
            summary={"base families": families, "run": run_tag(context), **counts},
            tables=(
                Table(
                    "Services",
                    ("service", "on_new_base", "outcome", "version", "image", "why"),
                    tuple(tuple(vars(one).values()) for one in services),
                ),
            ),
        )
        self.log.info("%s", report.to_text())
        with reachable(self.hook):
            return self.hook.write(self.environment.bucket, report)

    def _results(self, context: Context) -> Iterator[DependentResult]:
        states = task_states(context)
        for part, name in enumerate(self._pull(context, "return_value") or []):
            yield result_of(name, _policy(name), dict(self._stages(context, states, part)))

    def _pull(self, context: Context, key: str) -> Any:
        return context["ti"].xcom_pull(task_ids=EstateTask.FIND_DEPENDENTS, key=key, map_indexes=-1)

    def _stages(self, context: Context, states: Mapping[str, str], part: int) -> Iterator[tuple[str, TaskResult]]:
        def pull(task_id: str, key: str) -> Any:
            return context["ti"].xcom_pull(task_ids=task_id, key=key, map_indexes=part)

        for name in STAGES:
            task_id = f"{self.group}.{name}"
            # As Airflow names the parts of a mapped task in its answer.
            state = states.get(f"{task_id}_{part}", "")
            if state == "success":
                yield name, TaskResult(state, result=pull(task_id, "return_value"))
            elif state in {"skipped", "failed"}:
                yield name, TaskResult(state, message=(pull(task_id, FAILURE) or {}).get("message", ""))


def _policy(name: str) -> str:
    try:
        return str(config.read_service(name).on_new_base)
    except ConfigError:
        return ""
