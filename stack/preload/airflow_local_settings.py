"""Airflow's hook for local settings, on the scheduler's path alone: it imports what every task needs.

Tasks run in processes forked from the scheduler, which saves each of them about a second of imports on two cores. The
project's own modules are not imported, so that a change to them takes effect with the next task.
"""

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
