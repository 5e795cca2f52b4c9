"""Processes that outlive the command that started them are found again, and none is left."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack import processes
from stack.errors import StackError
from stack.layout import Layout
from stack.processes import Process

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
CHILD = "[sys.executable, '-c', 'import time; time.sleep(60)']"
STUBBORN = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen({CHILD})
print("ready", flush=True)
time.sleep(60)
"""
LEAVES_A_CHILD = f"import subprocess, sys; subprocess.Popen({CHILD}, start_new_session=True)"


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    """Return a layout in an empty folder; what was started in it is gone after the test."""
    layout = Layout(tmp_path)
    yield layout
    assert processes.kill_marked(layout.clone_id, seconds=2) == []


def _until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come to pass within ten seconds")


def test_a_process_is_found_again_by_another_command(layout: Layout) -> None:
    Process(layout, "sleeper").start(SLEEP, os.environ)
    again = Process(layout, "sleeper")

    assert again.pid is not None
    assert again.pid in processes.marked(layout.clone_id)

    processes.stop([again])

    assert again.pid is None
    assert processes.marked(layout.clone_id) == []


def test_starting_a_process_that_runs_changes_nothing(layout: Layout) -> None:
    process = Process(layout, "sleeper")
    process.start(SLEEP, os.environ)
    pid = process.pid
    process.start(SLEEP, os.environ)

    assert process.pid == pid


def test_a_pid_that_the_kernel_gave_to_another_process_is_not_taken_for_ours(layout: Layout) -> None:
    process = Process(layout, "sleeper")
    layout.pids.mkdir(parents=True)
    (layout.pids / "sleeper.json").write_text(json.dumps({"pid": os.getpid(), "started": "1"}))

    assert process.pid is None

    processes.stop([process])  # and we live on


def test_a_process_that_does_not_heed_the_signal_is_killed_with_its_children(layout: Layout) -> None:
    process = Process(layout, "stubborn")
    process.start([sys.executable, "-c", STUBBORN], os.environ)
    _until(lambda: "ready" in process.tail())
    processes.stop([process], seconds=0.2)

    assert process.pid is None
    assert processes.marked(layout.clone_id) == []


def test_what_a_process_left_behind_in_a_session_of_its_own_is_found_by_its_mark(layout: Layout) -> None:
    process = Process(layout, "parent")
    process.start([sys.executable, "-c", LEAVES_A_CHILD], os.environ)
    _until(lambda: process.pid is None)

    assert len(processes.marked(layout.clone_id)) == 1
    assert processes.kill_marked(layout.clone_id) == []
    assert processes.marked(layout.clone_id) == []


def test_the_mark_of_another_clone_is_let_be(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path / "other")
    process = Process(other, "sleeper")
    process.start(SLEEP, os.environ)
    processes.kill_marked(layout.clone_id)

    assert process.pid is not None

    processes.stop([process])


def test_a_process_that_has_ended_is_reported_with_the_end_of_its_log(layout: Layout) -> None:
    process = Process(layout, "broken")
    process.start([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"], os.environ)
    _until(lambda: process.pid is None)

    with pytest.raises(StackError, match=r"(?s)broken has ended.*broken\.log.*the reason"):
        process.require()


def test_output_goes_to_the_log_and_nothing_is_read_from_the_terminal(layout: Layout) -> None:
    process = Process(layout, "reader")
    process.start([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"], os.environ)
    _until(lambda: process.pid is None)

    assert process.tail() == "''"


def test_our_own_process_is_never_counted_among_what_is_left(layout: Layout) -> None:
    script = (
        f"from stack import processes; import os; os.environ['x'] = 'y'; print(processes.marked({layout.clone_id!r}))"
    )
    environment = {**os.environ, processes.MARK: layout.clone_id, "PYTHONPATH": "plugins:."}
    command, folder = [sys.executable, "-c", script], Layout.here().project

    assert subprocess.check_output(command, env=environment, cwd=folder, text=True).strip() == "[]"


def test_a_process_that_is_still_exiting_is_not_taken_for_gone(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel empties the environment, and with it the mark, before the process has ended."""
    process = Process(layout, "sleeper")
    process.start(SLEEP, os.environ)

    with monkeypatch.context() as patch:
        patch.setattr(processes, "marked", lambda _: [])
        process.kill()

    assert process.pid is None


def test_a_killed_process_takes_its_session_along_and_is_started_anew(layout: Layout) -> None:
    process = Process(layout, "stubborn")
    process.start([sys.executable, "-c", STUBBORN], os.environ)
    _until(lambda: "ready" in process.log.read_text())
    first = process.pid

    process.kill()

    assert processes.marked(layout.clone_id) == []
    process.start(SLEEP, os.environ)
    assert process.pid not in {first, None}


def test_processes_are_found_by_a_text_in_their_command_line(layout: Layout) -> None:
    process = Process(layout, "sleeper")
    process.start([*SLEEP, f"a-title-{os.getpid()}"], os.environ)

    assert processes.titled(f"a-title-{os.getpid()}") == [process.pid]


def test_what_carries_the_mark_is_ended_but_the_name_server_that_others_use_is_not(tmp_path: Path) -> None:
    """Podman's aardvark-dns inherits the mark from the engine that started it, and serves the whole machine."""
    server = shutil.copy(shutil.which("sleep") or "", tmp_path / "aardvark-dns")
    environment = {processes.MARK: f"test-{tmp_path.name}"}
    with (
        subprocess.Popen(["sleep", "60"], env=environment) as ours,
        subprocess.Popen([server, "60"], env=environment) as shared,
    ):
        try:
            assert processes.marked(environment[processes.MARK]) == [ours.pid]

            assert processes.kill_marked(environment[processes.MARK]) == []

            assert shared.poll() is None
        finally:
            ours.kill()
            shared.kill()
