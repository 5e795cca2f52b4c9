"""Airflow on one machine: four components on the loopback address, LocalExecutor, SQLite."""

import json
import os
import subprocess
import time
from pathlib import Path

import requests

from stack.cloud import python_environment
from stack.console import step
from stack.errors import StackError
from stack.layout import Layout
from stack.processes import Process, titled, waits_for
from stack.settings import ACCESS_KEY, ENVIRONMENT, REGION, Settings, write_private

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
USER = "admin"
IDLE_WORKER = "LocalExecutor: <idle>"
"""In the title of such a process."""
_PRELOAD = Path(__file__).with_name("preload")


class Airflow:
    """Airflow of one clone.

    Args:
        layout: The clone.
        settings: Its port, passwords, and where the embedded cloud is.
    """

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self.processes = {name: Process(layout, name) for name in COMPONENTS}

    def environment(self) -> dict[str, str]:
        """Return the environment that the components, and through them the pipeline's tasks, run in."""
        home, project = self.layout.airflow, self.layout.project
        connection = {
            "conn_type": "aws",
            "login": ACCESS_KEY,
            "password": ACCESS_KEY,
            "extra": {"region_name": REGION, "endpoint_url": self.settings.cloud_url},
        }
        return {
            **python_environment(self.layout),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
            "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.settings.airflow_url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": self.settings.fernet_key,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            # SQLite waits 5 s for a lock by default, which is too short for several runs on a busy machine.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "AIRFLOW__API__BASE_URL": self.settings.airflow_url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.settings.airflow_port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self.settings.api_secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": self.settings.api_secret,
            # Seconds between two scans for work, and until the end of a task is noticed.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # How soon a killed worker, scheduler or triggerer is noticed, in seconds. Airflow's own values are for
            # many machines: 300 until a task without a heartbeat is tried again, 300 between two scans for the tasks
            # of a scheduler that is gone. Each of these is several times the heartbeat that it waits for (1 and 5).
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            # A new service file becomes a DAG within this many seconds.
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "20",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "REBAKE_HOME": str(project),
            "REBAKE_CONFIG": os.environ.get("REBAKE_CONFIG") or str(project / "config"),
            "REBAKE_ENVIRONMENT": ENVIRONMENT,
            "REBAKE_WORKER_CIDR": self.settings.worker_cidr,
            "REBAKE_WORK": str(self.layout.state / "work"),
            "TF_CLI_CONFIG_FILE": str(self.layout.shared / "terraform" / "terraform.rc"),
            "CHECKPOINT_DISABLE": "1",
        }

    def faults(self) -> dict[str, str]:
        """Return what is wrong with each component that needs `end_broken` before it is started again."""
        found = {
            name: f"killed, but {len(left)} of its processes are left"
            for name, process in self.processes.items()
            if not process.pid and (left := process.members())
        }
        if self.processes["scheduler"].pid and self._executor_is_stuck():
            found["scheduler"] = "stuck, because a worker was killed while it held the task queue's lock"
        return found

    def end_broken(self) -> None:
        """End what killed components have left behind, and a scheduler whose executor is stuck."""
        for name, fault in self.faults().items():
            step(f"ending the {name}: {fault}")
            self.processes[name].kill()

    def _executor_is_stuck(self) -> bool:
        """Return whether no idle worker can get a task any more.

        One of LocalExecutor's idle workers reads the task queue and holds its lock meanwhile; the others wait for the
        lock. If that worker is killed, nobody releases the lock.
        """
        for _ in range(3):
            members = self.processes["scheduler"].members()
            idle = [pid for pid in titled(IDLE_WORKER) if pid in members]
            if not idle or any("futex" not in waits_for(pid) for pid in idle):
                return False
            time.sleep(0.1)  # The lock may just be on its way from one worker to the next.
        return True

    def start(self) -> None:
        """Migrate the database and start the components that do not run; `wait` waits for them.

        Raises:
            StackError: the database cannot be migrated.
        """
        if all(process.pid for process in self.processes.values()):
            return
        self.layout.airflow.mkdir(parents=True, exist_ok=True)
        write_private(self.layout.airflow / "passwords.json", json.dumps({USER: self.settings.admin_password}))
        environment = self.environment()
        airflow = str(self.layout.venv_python.with_name("airflow"))
        migrated = self.layout.airflow / "migrated"
        lock = (self.layout.project / "requirements.lock").read_text()
        if not migrated.is_file() or migrated.read_text() != lock:
            step("preparing Airflow's database")
            done = subprocess.run(
                [airflow, "db", "migrate"], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise StackError(f"airflow db migrate failed:\n{(done.stdout + done.stderr)[-2000:]}")
            migrated.write_text(lock)
        step("starting Airflow: " + ", ".join(COMPONENTS))
        for name, process in self.processes.items():
            # Without it, two components would each open a port for logs on every address of the machine.
            quiet = ["--skip-serve-logs"] if name in {"scheduler", "triggerer"} else []
            # See stack/preload: what the scheduler has loaded, its tasks need not load.
            path = f"{environment['PYTHONPATH']}:{_PRELOAD}" if name == "scheduler" else environment["PYTHONPATH"]
            process.start([airflow, name, *quiet], {**environment, "PYTHONPATH": path})

    def wait(self, seconds: float = 180) -> None:
        """Wait until every component reports that it is healthy.

        Raises:
            StackError: a component ends, or the time is up; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        health: dict[str, str | None] = {}
        while any(health.get(key) != "healthy" for key in ("metadatabase", "scheduler", "dag_processor", "triggerer")):
            for process in self.processes.values():
                process.require()
            if time.monotonic() > deadline:
                tails = "\n".join(f"{process.log}:\n{process.tail(5)}" for process in self.processes.values())
                raise StackError(f"Airflow is not healthy after {seconds:.0f} s: {health}\n{tails}")
            time.sleep(0.25)
            try:
                answer = requests.get(f"{self.settings.airflow_url}/api/v2/monitor/health", timeout=10).json()
            except (requests.RequestException, ValueError):
                continue
            health = {name: part.get("status") for name, part in answer.items() if isinstance(part, dict)}
