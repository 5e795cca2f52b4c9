"""Start everything, as much as possible at the same time; stop everything, and check that nothing is left."""

import contextlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rebake.config import load_environment
from stack import osimage, processes, settings
from stack.airflow import COMPONENTS, USER, Airflow
from stack.api import Api
from stack.cloud import Cloud
from stack.console import detail, step
from stack.engine import Engine, as_root
from stack.errors import StackError
from stack.layout import Layout
from stack.settings import ENVIRONMENT, ROOT_KEYS, Settings


@dataclass(frozen=True)
class Stack:
    """The stack, once it runs."""

    layout: Layout
    settings: Settings
    cloud: Cloud
    airflow: Airflow
    api: Api


def up(layout: Layout) -> Stack:
    """Start what does not run: the container engine, the embedded cloud, Airflow. End what is broken first.

    Raises:
        StackError: a part of it does not start; with the end of its log.
    """
    stack = connect(layout, choose=True)
    stack.airflow.end_broken()
    # Airflow takes as long to start as the operating system image takes to be built: neither needs the other.
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(stack.airflow.start)
        if not stack.cloud.answers():
            engine = Engine(layout)
            engine.start()
            image = osimage.ensure(layout, engine)
            step("starting the embedded cloud")
            stack.cloud.start(engine.url, image)
        elif os.environ.get("ENFORCE") and not stack.cloud.enforces():
            raise StackError("the embedded cloud runs without enforcing policies: `make down` first")
        stack.cloud.make_bucket(load_environment(ENVIRONMENT).bucket)
        starting.result()
    step("waiting for Airflow")
    stack.airflow.wait()
    step(f"up: Airflow at {stack.settings.airflow_url} (user {USER}, password {stack.settings.admin_password})")
    detail(f"the embedded cloud at {stack.settings.cloud_url}; it forgets everything when it ends")
    if stack.cloud.enforces():
        detail(f"it enforces policies: the root's access keys are {', '.join(ROOT_KEYS)}, each its own secret")
    return stack


def connect(layout: Layout, *, choose: bool = False) -> Stack:
    """Return the stack of this clone as it was last started.

    Args:
        layout: The clone.
        choose: It is about to be started: choose ports, network and passwords where that is not done yet.

    Raises:
        StackError: it was never started, and `choose` is false.
    """
    if choose:
        chosen: Settings | None = settings.choose(
            layout,
            cloud_runs=bool(processes.Process(layout, "localcloud").pid),
            airflow_runs=any(processes.Process(layout, name).pid for name in COMPONENTS),
        )
    else:
        chosen = settings.load(layout)
    if chosen is None:
        raise StackError("nothing runs here: `make up` starts it")
    # Code in this process that reads the configuration needs the variables that tasks have.
    os.environ["REBAKE_HOME"] = str(layout.project)
    os.environ["REBAKE_WORKER_CIDR"] = chosen.worker_cidr
    return Stack(layout, chosen, Cloud(layout, chosen), Airflow(layout, chosen), Api(chosen))


def down(layout: Layout) -> None:
    """Stop every process of this stack, remove what it has in the engine, and check that nothing is left.

    The container engine belongs to the clone's own stack: a second one leaves it running.

    Raises:
        StackError: naming what could not be removed.
    """
    if not layout.name:
        for folder in sorted((layout.shared / "stacks").glob("*")):
            step(f"taking down the second stack {folder.name}")
            down(Layout.here(folder.name))
            shutil.rmtree(folder, ignore_errors=True)
    step("stopping Airflow")
    processes.stop([processes.Process(layout, name) for name in COMPONENTS])
    step("stopping the embedded cloud, with its instances")
    processes.stop([processes.Process(layout, "localcloud")], seconds=60)
    engine = Engine(layout)
    left: list[str] = []
    if engine.answers():
        engine.remove_orphans()
        left = engine.orphans()
        if not engine.own and not layout.name:
            osimage.remove(layout, engine)
    if not layout.name:
        engine.stop()
        left += [f"process {pid}" for pid in processes.keepers(str(layout.podman))]
    left += [f"process {pid}" for pid in processes.kill_marked(layout.clone_id)]
    shutil.rmtree(layout.state / "work", ignore_errors=True)
    if left:
        raise StackError("down, but for: " + ", ".join(left))
    step("down: no process, container, network or image of this clone is left")


def clean(layout: Layout) -> None:
    """Stop everything, and remove all that was put into this folder, the virtual environment too."""
    down(layout)
    step("removing .rebake, .venv and build")
    for folder in (layout.shared, layout.project / "build", layout.project / ".venv"):
        if folder.exists() and subprocess.run(["rm", "-rf", str(folder)], check=False, capture_output=True).returncode:
            subprocess.run([*as_root(), "rm", "-rf", str(folder)], check=True)
    for name in (".pytest_cache", ".mypy_cache", ".ruff_cache"):
        with contextlib.suppress(OSError):
            shutil.rmtree(Path(layout.project, name))
