"""A DAG for each service file; for a file that is wrong, a DAG that reports it."""

import inspect
import logging
from collections.abc import Callable, Iterator
from typing import NoReturn

from airflow.sdk import DAG, get_parsing_context, task

from rebake import config
from rebake.exceptions import ConfigError
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_DEPLOY, TAG_INVALID

log = logging.getLogger(__name__)


def for_each_service(verb: str, build: Callable[[config.Service], DAG], manual: str) -> Iterator[DAG]:
    """Yield the DAG `<verb>_<service>` of each service; in a task's process only the DAG that the task belongs to.

    Airflow parses the DAG file again for every task: building all DAGs takes 10 ms for each service.

    Args:
        verb: what the DAGs do, such as `deploy`.
        build: makes the DAG of a service.
        manual: what these DAGs do, for the UI, in Markdown.
    """
    wanted = get_parsing_context().dag_id
    for name in config.service_names():
        dag_id = f"{verb}_{name}"
        if wanted and wanted != dag_id:
            continue
        try:
            yield build(config.read_service(name))
        except ConfigError as error:
            log.warning("%s cannot run: %s", dag_id, error)
            dag = _explain(dag_id, name, str(error), manual)
            # Airflow records the file that makes a DAG, and would not find this one there again.
            dag.fileloc = inspect.getfile(build)
            yield dag


def _explain(dag_id: str, name: str, message: str, manual: str) -> DAG:
    """Return a DAG that shows what is wrong with a service's file, and fails if it is run.

    A DAG file that raised instead would take the other services' DAGs with it.
    """
    with DAG(
        dag_id=dag_id,
        description=f"The file of service {name} is wrong: correct it",
        doc_md=f"# The file of service {name} is wrong\n\n```\n{message}\n```\n{manual}",
        schedule=None,
        max_active_runs=1,
        tags=[TAG_DEPLOY, TAG_INVALID],
        default_args=DEFAULT_ARGS,
    ) as dag:

        @task
        def service_file_is_valid() -> NoReturn:
            raise ConfigError(message)

        service_file_is_valid()
    return dag
