"""Airflow's REST API, as far as the commands need it."""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

import requests

from stack.airflow import USER
from stack.errors import InputError, StackError
from stack.settings import Settings

RUN_ENDS = frozenset({"success", "failed"})


@dataclass(frozen=True)
class Task:
    """One task of a run, as Airflow reports it."""

    task_id: str
    state: str
    try_number: int
    start: dt.datetime | None
    end: dt.datetime | None
    id: str = ""
    """The id of the last try, which the titles of its processes contain."""
    map_index: int = -1
    """The index within a mapped task; -1 if it is not mapped."""
    part: str = ""
    """Airflow's name for that index."""

    @property
    def name(self) -> str:
        """The task's id, with the index of a mapped one in brackets, as in Airflow's UI."""
        return f"{self.task_id} [{self.part or self.map_index}]" if self.map_index >= 0 else self.task_id


class Api:
    """A session with Airflow's REST API.

    Args:
        settings: Where it is, and the password.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = requests.Session()

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run and return its id.

        Raises:
            InputError: there is no such DAG, or it refuses the configuration.
        """
        now = dt.datetime.now(dt.UTC)
        run_id = f"manual__{now:%Y-%m-%dT%H:%M:%S.%f}"
        # Airflow's home page ignores runs without a logical date: a DAG that failed once would count as failed there
        # however often it has succeeded since.
        body = {"dag_run_id": run_id, "logical_date": now.isoformat(), "conf": conf}
        answer = self._call("POST", f"/dags/{dag_id}/dagRuns", body)
        if answer.status_code in {400, 404, 422}:
            raise InputError(f"Airflow refuses to run {dag_id} with {conf}: {_reason(answer)}")
        _check(answer)
        return run_id

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG: the runs of a paused one stay queued."""
        _check(self._call("PATCH", f"/dags/{dag_id}?update_mask=is_paused", {"is_paused": False}))

    def has_dag(self, dag_id: str) -> bool:
        """Return whether Airflow has read the DAG."""
        return self._call("GET", f"/dags/{dag_id}").ok

    def wait_for_dag(self, dag_id: str, seconds: float = 60) -> None:
        """Wait until Airflow has read the DAG.

        Raises:
            InputError: it has not within that time; with the errors of the DAG files.
        """
        deadline = time.monotonic() + seconds
        while not self.has_dag(dag_id):
            if time.monotonic() > deadline:
                raise InputError(f"Airflow has no DAG {dag_id}. {self.import_errors()}".strip())
            time.sleep(0.25)

    def import_errors(self) -> str:
        """Return Airflow's import errors, by file."""
        found = _check(self._call("GET", "/importErrors"))["import_errors"]
        return "\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in found)

    def runs(self, dag_id: str) -> list[str]:
        """Return the ids of a DAG's runs, newest first."""
        found = _check(self._call("GET", f"/dags/{dag_id}/dagRuns?order_by=-run_after&limit=20"))["dag_runs"]
        return [run["dag_run_id"] for run in found]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(_check(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Return the tasks of a run, in the order in which they started."""
        listed = _check(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"))["task_instances"]
        tasks = [
            Task(
                item["task_id"],
                item["state"] or "none",
                item["try_number"],
                _time(item["start_date"]),
                _time(item["end_date"]),
                item["id"],
                item["map_index"],
                item["rendered_map_index"] or "",
            )
            for item in listed
        ]
        never = dt.datetime.max.replace(tzinfo=dt.UTC)
        return sorted(tasks, key=lambda task: task.start or never)

    def clear(self, dag_id: str, run_id: str, task: str) -> None:
        """Clear a task and its downstream tasks, so that they run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task], "include_downstream": True}
        _check(self._call("POST", f"/dags/{dag_id}/clearTaskInstances", {**body, "only_failed": False}))

    def xcom(self, dag_id: str, run_id: str, task: str, key: str = "return_value") -> Any:
        """Return what a task pushed to XCom, or None."""
        answer = self._call(
            "GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/xcomEntries/{key}?deserialize=true"
        )
        return answer.json()["value"] if answer.ok else None

    def log(self, dag_id: str, run_id: str, task: Task) -> list[dict[str, Any]]:
        """Return the log of a task's last try, an entry each."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{max(task.try_number, 1)}"
        answer = self._call("GET", f"{path}?full_content=true&map_index={task.map_index}")
        content = answer.json().get("content", []) if answer.ok else []
        return [entry if isinstance(entry, dict) else {"event": str(entry)} for entry in content]

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        url = f"{self._settings.airflow_url}/api/v2{path}"
        try:
            if "Authorization" not in self._session.headers:
                self._log_in()
            answer = self._request(method, url, body)
            if answer.status_code == 401:
                self._log_in()
                answer = self._request(method, url, body)
        except requests.ConnectionError as error:
            raise StackError(
                f"Airflow does not run here (nothing answers at {self._settings.airflow_url}): `make up` starts it"
            ) from error
        except requests.RequestException as error:
            raise StackError(
                f"Airflow at {self._settings.airflow_url} failed: {type(error).__name__}. A run that was triggered "
                "goes on: `make status` shows it"
            ) from error
        return answer

    def _request(self, method: str, url: str, body: dict[str, Any] | None) -> requests.Response:
        """Send a request; one that only reads is sent a second time where a busy Airflow was too slow to answer."""
        try:
            return self._session.request(method, url, json=body, timeout=30)
        except requests.Timeout:
            if method != "GET":
                raise
            return self._session.request(method, url, json=body, timeout=60)

    def _log_in(self) -> None:
        body = {"username": USER, "password": self._settings.admin_password}
        token = _check(self._session.post(f"{self._settings.airflow_url}/auth/token", json=body, timeout=30))[
            "access_token"
        ]
        self._session.headers["Authorization"] = f"Bearer {token}"


def error_of(entries: list[dict[str, Any]]) -> str:
    """Return the message of the error that ended a task, from its log."""
    for entry in reversed(entries):
        if details := entry.get("error_detail"):
            # The first is the error that surfaced; its causes follow.
            return f"{details[0]['exc_type']}: {details[0]['exc_value']}"
    errors = [str(entry.get("event", "")) for entry in entries if entry.get("level") in {"error", "critical"}]
    return errors[-1] if errors else "(its log names no error)"


def _check(answer: requests.Response) -> Any:
    if not answer.ok:
        raise StackError(
            f"Airflow answered {answer.status_code} to {answer.request.method} {answer.url}: {_reason(answer)}"
        )
    return answer.json()


def _reason(answer: requests.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
