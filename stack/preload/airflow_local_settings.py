"""Airflow's hook for local settings, found on the scheduler's path alone: it loads what every task needs.

Tasks run in processes forked from the scheduler, so that what is loaded here once no task has to load: on two cores
that is about a second a task. The project's own modules are left out: a change of them holds from the next task on.
"""

from __future__ import annotations

import importlib

for _module in (
    "airflow.dag_processing.dagbag",
    "airflow.providers.amazon.aws.hooks.base_aws",
    "airflow.providers.amazon.aws.operators.base_aws",
    "airflow.providers.amazon.aws.sensors.base_aws",
    "airflow.providers.amazon.aws.triggers.base",
    "airflow.sdk.execution_time.task_runner",
    "aiohttp",
    "boto3",
    "jsonschema",
    "pydantic",
):
    importlib.import_module(_module)
