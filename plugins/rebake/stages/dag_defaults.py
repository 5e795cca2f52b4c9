"""What every DAG shares: default arguments, the vocabulary of tags, what is logged when a task fails."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator, ExceptionRetryPolicy, RetryAction, RetryRule, XComArg

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

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

TAG_DEPLOY: Final = "deploy"
TAG_IMAGE: Final = "image"
TAG_ESTATE: Final = "estate"
TAG_INVALID: Final = "invalid"
TAGS: Final = frozenset({TAG_DEPLOY, TAG_IMAGE, TAG_ESTATE, TAG_INVALID})
"""The closed vocabulary: every DAG has at least one of these tags, besides the name of its service."""

BAKE_POOL: Final = "rebake_bakes"
"""Airflow's pool that bounds how many bakes a new base starts at a time; `rebake.stages.pool` makes it."""

ERROR: Final = "error"
"""XCom key under which a failed task leaves `{"reason": code, "message": text}`."""


def log_failure(context: Context) -> None:
    """Log one line that says which stage of which run failed, and why: the line to look for in any log store."""
    ti = context["ti"]
    error = context.get("exception")
    why = " ".join(str(error).split()) if error else "Airflow passed no exception"
    log.error("run %s of %s failed at %s: %s: %s", ti.run_id, ti.dag_id, ti.task_id, type(error).__name__, why)


def push_error(context: Context) -> None:
    """Push the reason of a failure, for the release record: other tasks do not see the exception."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        context["ti"].xcom_push(key=ERROR, value={"reason": reason_of(error), "message": str(error)[:4000]})


def reason_of(error: BaseException) -> str:
    """Return the code of an error, its class name in snake case, such as `probe_failed`."""
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
            reason="another run holds the lease, and does not give it to an older one",
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
