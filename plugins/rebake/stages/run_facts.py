"""What a run of a deployment or a rollback has come to so far, for the stages that record it."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.releases import ReleasesHook
from rebake.release.lease import RunKind
from rebake.release.record import ReleaseRun
from rebake.release.results import FAILURE, Failure, Results
from rebake.release.stage import Stage
from rebake.rollout.refresh import leaves_the_group
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import run_tag

_SUCCESS = "success"


class RecordStage(EnvironmentConnection, AwsBaseOperator[ReleasesHook]):
    """What the stages that write the release record have in common.

    Args:
        service: name of the service (templated).
        kind: `deploy` or `rollback` (templated).
    """

    aws_hook_class = ReleasesHook
    template_fields: Sequence[str] = aws_template_fields("service", "kind")

    def __init__(self, *, service: str, kind: str = RunKind.DEPLOY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.kind = kind

    def run_of(self, context: Context) -> ReleaseRun:
        """Return what is known of the run from its beginning."""
        return release_run(context, self.kind, self.service, self.environment.name)

    def serving(self, group_name: str) -> tuple[str, ...]:
        """Return the ids of the group's instances but those on their way out."""
        group = AutoScalingHook(**self.connection).group(group_name)
        return tuple(sorted(one["InstanceId"] for one in group["Instances"] if not leaves_the_group(one)))


def release_run(context: Context, kind: str, service: str, environment: str) -> ReleaseRun:
    """Return what is known of a run from its beginning: who requested what, and when."""
    dag_run, params = context["dag_run"], context.get("params", {})
    user = getattr(dag_run, "triggering_user_name", None) or ""
    # The requester that another DAG or program names, and behind it whom Airflow knows: one cannot stand for the other.
    requested_by = str(params.get("requested_by") or "")
    return ReleaseRun(
        service=service,
        environment=environment,
        kind=RunKind(kind),
        version=str(params.get("version") or ""),
        requested_at=dag_run.run_after,
        requested_by=", ".join(filter(None, (requested_by, user))) or "unknown",
        dag_run=run_tag(context),
    )


def task_states(context: Context) -> dict[str, str]:
    """Return the states of the run's tasks, by task id; those without one have not begun."""
    ti: Any = context["ti"]
    states: Mapping[str, Any] = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
    return {task_id: str(getattr(state, "value", state) or "") for task_id, state in states.items()}


def results(context: Context, states: Mapping[str, str]) -> Results:
    """Return the results of the run's stages so far.

    Args:
        context: a task's.
        states: the states of the run's tasks.
    """
    ti: Any = context["ti"]

    def pull(stage: Stage) -> Any:
        # Airflow logs an error for each XCom that is not there.
        return ti.xcom_pull(task_ids=stage) if states.get(stage) == _SUCCESS else None

    return Results(
        bake=pull(Stage.BAKE),
        chosen=pull(Stage.CHOOSE_RELEASE),
        probe=pull(Stage.PROBE),
        applied=pull(Stage.TERRAFORM_APPLY),
        started=pull(Stage.START_REFRESH),
        refresh_status=pull(Stage.WAIT_FOR_REFRESH) or "",
    )


def failure_of(context: Context, task_id: str) -> Failure | None:
    """Return why a task did not succeed; none if it left no reason, as when its worker was lost."""
    value = context["ti"].xcom_pull(task_ids=task_id, key=FAILURE)
    return None if value is None else Failure.model_validate(value)


def push_failure(context: Context, failure: Failure) -> None:
    """Leave the reason why this task does not succeed, for the release record: other tasks don't see its exception."""
    context["ti"].xcom_push(key=FAILURE, value=failure.model_dump(mode="json"))
