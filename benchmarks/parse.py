"""How long Airflow takes to parse `dags/deploy.py` and `dags/rollback.py`, by the number of services.

The DAG processor builds the DAG of every service; a task's process, for each task of each run, should build its own
alone. Each parse is that of a process of its own which has loaded what the scheduler loads for its tasks, and takes the
same call as Airflow's.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from stack.console import step, table
from stack.layout import Layout

SERVICES: Final = (1, 500)
VERBS: Final = ("deploy", "rollback")
GOAL_SECONDS: Final = 0.3


def run() -> str:
    """Measure all of it, and return the results as a part of the page."""
    project = Layout.here().project
    rows = []
    for count in SERVICES:
        with tempfile.TemporaryDirectory(prefix="rebake-bench-") as folder:
            _declare(project, Path(folder), count)
            for verb in VERBS:
                step(f"{verb}.py, {count} services")
                task, every = (_parse(project, folder, verb, dag_id) for dag_id in (f"{verb}_service-000", ""))
                rows.append((f"dags/{verb}.py", str(count), f"{task:.2f}", f"{every:.2f}"))
    return f"""## Parsing the DAG files (seconds of the processor)

The goal is {GOAL_SECONDS} seconds in a task's process, whatever the number of services. Loading the project's own
modules, as each task does, is part of it.

```text
{table(("", "services", "in a task's process", "in the DAG processor"), rows)}
```
"""


def _declare(project: Path, folder: Path, count: int) -> None:
    service = (project / "config/services/webapp.yaml").read_text()
    (folder / "services").mkdir()
    for name in (f"service-{number:03}" for number in range(count)):
        (folder / f"services/{name}.yaml").write_text(service.replace("name: webapp", f"name: {name}"))


def _parse(project: Path, folder: str, verb: str, dag_id: str) -> float:
    """Return the processor's seconds that a process takes: the better of two, as the first may compile modules."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": f"{folder}/airflow",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",  # a busy machine takes longer than Airflow allows
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": f"{project / 'plugins'}:{project}:{project / 'stack/preload'}",
        "REBAKE_CONFIG": folder,
    }
    command = [sys.executable, "-m", "benchmarks.parse", f"{project}/dags/{verb}.py", dag_id]
    outputs = [
        subprocess.run(command, env=environment, cwd=project, stdout=subprocess.PIPE, check=True).stdout
        for _ in range(2)
    ]
    return min(float(json.loads(output)) for output in outputs)


def main() -> None:
    """Parse a DAG file for a task of the DAG of that id, or for the DAG processor, and print how long it took."""
    importlib.import_module("airflow_local_settings")  # As in the scheduler, from which a task's process is forked.
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

    path, dag_id = sys.argv[1:]
    folder = Path(path).parent
    began = time.process_time()
    with _airflow_parsing_context_manager(dag_id=dag_id or None):
        bag = BundleDagBag(dag_folder=path, bundle_path=folder, bundle_name="dags", safe_mode=False)
    seconds = time.process_time() - began
    if bag.import_errors or not bag.dags or (dag_id and [*bag.dags] != [dag_id]):
        raise SystemExit(f"expected {dag_id or 'all DAGs'}, found {[*bag.dags]}: {bag.import_errors}")
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
