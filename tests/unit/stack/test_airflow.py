"""A scheduler that was killed, or whose executor is stuck, is noticed and ended."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack import processes, status
from stack.airflow import IDLE_WORKER, Airflow
from stack.layout import Layout
from stack.settings import Settings

SCHEDULER = """
import multiprocessing, setproctitle, time

def work(queue):
    # In two parts, so that the command line of the scheduler does not hold it.
    setproctitle.setproctitle("airflow worker -- LocalExecutor: " + "<idle>")
    queue.get()

context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
for _ in range(3):
    context.Process(target=work, args=(queue,)).start()
time.sleep(60)
"""
"""Workers that share a queue as LocalExecutor's do."""


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[Airflow]:
    """Return an Airflow of which the scheduler alone runs, with three idle workers."""
    layout = Layout(tmp_path)
    airflow = Airflow(layout, Settings(1, 2, "10.64.0.0/24", "", "", ""))
    airflow.processes["scheduler"].start([sys.executable, "-c", SCHEDULER], os.environ)
    try:
        _until(lambda: _reader(airflow))
        yield airflow
    finally:
        assert processes.kill_marked(layout.clone_id, seconds=2) == []


def _until(condition: Callable[[], object]) -> None:
    for _ in range(100):
        if condition():
            return
        threading.Event().wait(0.1)
    pytest.fail("it did not come to pass within ten seconds")


def _workers(airflow: Airflow) -> list[int]:
    return [pid for pid in airflow.processes["scheduler"].members() if pid in processes.titled(IDLE_WORKER)]


def _reader(airflow: Airflow) -> list[int]:
    """Return the worker that reads the queue, while the others wait for its lock."""
    waiting = {pid: processes.waits_for(pid) for pid in _workers(airflow)}
    reading = [pid for pid, function in waiting.items() if "pipe" in function]
    return reading if sum("futex" in function for function in waiting.values()) == 2 else []


def test_a_scheduler_that_runs_is_let_be(airflow: Airflow) -> None:
    pid = airflow.processes["scheduler"].pid
    airflow.end_broken()

    assert airflow.faults() == {}
    assert airflow.processes["scheduler"].pid == pid


def test_the_workers_of_a_killed_scheduler_are_noticed_and_ended(airflow: Airflow) -> None:
    airflow.processes["scheduler"].kill(alone=True)

    assert airflow.faults() == {"scheduler": "killed, but 3 of its processes are left"}
    airflow.end_broken()
    assert processes.marked(airflow.layout.clone_id) == []
    assert airflow.faults() == {}


def test_a_worker_killed_while_it_holds_the_queue_is_noticed_and_the_scheduler_ended(airflow: Airflow) -> None:
    (reader,) = _reader(airflow)
    os.kill(reader, signal.SIGKILL)

    assert airflow.faults() == {"scheduler": "stuck, because a worker was killed while it held the task queue's lock"}
    airflow.end_broken()
    assert processes.marked(airflow.layout.clone_id) == []


def test_another_workers_death_leaves_the_queue_usable(airflow: Airflow) -> None:
    os.kill(next(pid for pid in _workers(airflow) if pid not in _reader(airflow)), signal.SIGKILL)

    assert airflow.faults() == {}


def test_the_status_names_the_login_what_is_broken_and_what_mends_it() -> None:
    login = {"url": "http://127.0.0.1:2", "user": "admin", "password": "secret"}
    states = {"scheduler": "killed, but 3 of its processes are left"}
    found = {"airflow": {**login, **states}, "cloud": {"url": "http://127.0.0.1:1", "state": "running"}, "services": {}}

    assert "http://127.0.0.1:2 (user admin, password secret)" in status.render(found)
    assert "scheduler killed, but 3 of its processes are left" in status.render(found)
    assert "`make up` ends what is broken" in status.render(found)
