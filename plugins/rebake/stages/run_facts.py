"""What a run of a deployment or a rollback has found out so far, in the terms of its release record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rebake.release import record as release
from rebake.stages.tooling import run_tag

if TYPE_CHECKING:
    from airflow.sdk import Context

ORIGINS: Final = ("bake", "choose_release")
"""The task that says which image is rolled out: of a deployment, of a rollback."""
_SUCCESS: Final = "success"

Pull = Callable[[str, str], Any]
"""Returns what a task, if it succeeded, handed on under a key; else none."""


def described(context: Context, service: str, environment: str) -> dict[str, Any]:
    """Return a blank record with what is known of every run: who asked for it, when, and its name."""
    dag_run = context["dag_run"]
    user = getattr(dag_run, "triggering_user_name", None) or ""
    # What another DAG or program says of itself, and behind it whom Airflow knows: one cannot stand for the other.
    asked_by = str(context.get("params", {}).get("requested_by") or "")
    return {
        **release.blank(),
        "service": service,
        "environment": environment,
        "requested_at": text(dag_run.run_after),
        "requested_by": ", ".join(filter(None, (asked_by, user))) or "unknown",
        "dag_run": run_tag(context),
    }


def task_states(context: Context) -> dict[str, str]:
    """Return the states of the run's tasks, by task id; those without one have not begun."""
    ti: Any = context["ti"]
    states: Mapping[str, Any] = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
    return {task_id: str(getattr(state, "value", state) or "") for task_id, state in states.items()}


def found_out(context: Context, states: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the record that the run's tasks have come to, by what they handed on."""
    ti: Any = context["ti"]

    def pull(task_id: str, key: str = "return_value") -> Any:
        # Airflow complains about each look for something that is not there.
        return ti.xcom_pull(task_ids=task_id, key=key) if states.get(task_id) == _SUCCESS else None

    fields = {
        **_image(pull),
        "test_report": pull("test_image.probe", "return_value") or pull("choose_release", "test_report"),
        "auto_scaling_group_name": pull("terraform_apply", "auto_scaling_group_name"),
        "url": pull("terraform_apply", "url"),
    }
    if number := pull("terraform_apply", "return_value"):
        fields["launch_template"] = {"id": pull("terraform_apply", "launch_template_id"), "version": str(number)}
    if refresh_id := pull("start_refresh", "return_value"):
        status = pull("wait_for_refresh", "return_value") or ""
        fields["refresh"] = {"id": refresh_id, "status": status}
        fields["instances"] = {"before": list(pull("start_refresh", "instances_before") or []), "after": []}
    asked_for = str(context.get("params", {}).get("version", "") or "")
    return {"version": asked_for or "unknown"} | {name: value for name, value in fields.items() if value is not None}


def _image(pull: Pull) -> dict[str, Any]:
    keys = ("version", "commit", "build_id", "template_version", "fingerprint", "base_ami", "reused")
    for origin in ORIGINS:
        if ami_id := pull(origin, "return_value"):
            return {"ami_id": ami_id, **{key: pull(origin, key) for key in keys}, "restores": _restores(pull, origin)}
    return {}


def _restores(pull: Pull, origin: str) -> Any:
    return pull(origin, "restores") if origin == "choose_release" else None


def text(moment: datetime) -> str:
    """Return a moment as records have it: UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")
