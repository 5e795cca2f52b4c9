"""What every DAG shares: default arguments, the vocabulary of tags, what is logged when a task fails."""

import logging
import re
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import BaseOperator, Context, ExceptionRetryPolicy, RetryAction, RetryRule, XComArg

from rebake.exceptions import (
    ArtifactError,
    ConfigError,
    DeploymentFailedError,
    ImageError,
    ProbeFailedError,
    RolloutFailedError,
    SupersededError,
    ToolFailedError,
    ToolMissingError,
)
from rebake.release.results import Failure
from rebake.stages.run_facts import push_failure

log = logging.getLogger(__name__)

TAG_DEPLOY: Final = "deploy"
TAG_IMAGE: Final = "image"
TAG_ESTATE: Final = "estate"
TAG_INVALID: Final = "invalid"
TAGS: Final = frozenset({TAG_DEPLOY, TAG_IMAGE, TAG_ESTATE, TAG_INVALID})
"""The closed vocabulary: every DAG has at least one of these tags, besides the name of its service."""

BAKE_POOL: Final = "rebake_bakes"
"""Airflow's pool that bounds how many bakes a new base starts at a time; `rebake.stages.pool` makes it."""


def log_failure(context: Context) -> None:
    """Log one line that says which stage of which run failed, and why: the line to search for in any log store."""
    ti = context["ti"]
    error = context.get("exception")
    why = " ".join(str(error).split()) if error else "Airflow passed no exception"
    log.error("run %s of %s failed at %s: %s: %s", ti.run_id, ti.dag_id, ti.task_id, type(error).__name__, why)


def push_error(context: Context) -> None:
    """Push the reason of a failure, for the release record: other tasks do not see the exception."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        message = getattr(error, "summary", "") or str(error)[:4000]
        push_failure(context, Failure(reason=reason_of(error), message=message))


def reason_of(error: BaseException) -> str:
    """Return the code of an error: its own, such as `unhealthy`, or its class's name, such as `probe_failed`."""
    if isinstance(error, RolloutFailedError) and error.reason:
        return error.reason
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__.removesuffix("Error")).lower()


RETRY_POLICY: Final = ExceptionRetryPolicy(
    [
        RetryRule(
            exception=[ConfigError, ArtifactError, ImageError, ToolMissingError],
            action=RetryAction.FAIL,
            reason="someone has to correct the input first",
        ),
        RetryRule(
            exception=[ProbeFailedError, RolloutFailedError],
            action=RetryAction.FAIL,
            reason="the checks and the rollout have their own deadlines",
        ),
        RetryRule(
            exception=DeploymentFailedError,
            action=RetryAction.FAIL,
            reason="the deployment has retries of its own",
        ),
        RetryRule(
            exception=SupersededError,
            action=RetryAction.FAIL,
            reason="another run holds the lease, and does not pass it to an older one",
        ),
        RetryRule(
            exception=ToolFailedError,
            action=RetryAction.FAIL,
            reason="Packer and Terraform have retries of their own; the same input fails again",
        ),
    ]
)

DEFAULT_ARGS: Final[dict[str, Any]] = {
    # For a lost worker, or AWS being down for longer than its clients retry: every stage adopts what the try before
    # has left. The policy fails at once where another try cannot help.
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_policy": RETRY_POLICY,
    "on_failure_callback": [log_failure, push_error],
}


def xcom(operator: BaseOperator, key: str = "return_value") -> Any:
    """Return a reference to what a task returns, or pushes under `key`, for a template field."""
    return XComArg(operator, key=key)


def field_of(operator: BaseOperator, field: str) -> str:
    """Return a template for a field of a task's result; unlike `xcom`, it makes no arrow between the tasks.

    In a mapped task group it is the result of the task in the same part: by default Airflow pulls those of all parts.
    """
    return f"{{{{ {_pull(operator)}['{field}'] }}}}"


def field_if_any(operator: BaseOperator, field: str) -> str:
    """Return a template like that of `field_of`, which is empty if the task has not succeeded."""
    return f"{{{{ ({_pull(operator)} or {{}}).get('{field}', '') }}}}"


def _pull(operator: BaseOperator) -> str:
    return f"ti.xcom_pull(task_ids='{operator.task_id}', map_indexes=ti.map_index)"
