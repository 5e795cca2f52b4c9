"""One stack for all end-to-end tests: an embedded cloud and an Airflow of their own, beside the clone's.

Its configuration is a copy of the project's, with the services of `services/` and the base families of `bases/` added,
and with shorter waits. The tests share deployments, and runs that do not disturb each other go on at the same time:
most of a run is waiting.
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from examples.webapp.build import build
from prove import injection
from prove.injection import POINTS, Injector
from rebake import config
from rebake.hooks.registry import DATA_TYPE
from rebake.image.channels import CURRENT, base_name, parameter_name
from stack import follow, up
from stack.follow import Follower, RunOutcome
from stack.layout import Layout
from stack.load import Load
from stack.up import Stack
from tests.e2e.support import DEMANDING, Runs

FOLDERS = ("services", "bases")
"""Beside this file: each of their files is wrong in a way of its own."""
SHORTER = {
    "fleet": {"deregistration_delay": 2},
    "rollout": {"instance_warmup": 2, "bake_time": 5, "unhealthy_deadline": 40},
}
"""What the environment overrides in every service file: six rollouts wait for it."""


@pytest.fixture(scope="package")
def stack(project: Path) -> Iterator[Stack]:
    """Return a stack that is up, and take it down after the last test; its logs stay when it cannot come up."""
    before = dict(os.environ)
    layout = Layout.here("test")
    up.down(layout)
    shutil.rmtree(layout.state, ignore_errors=True)
    folder = layout.state / "config"
    shutil.copytree(project / "config", folder)
    for name in FOLDERS:
        shutil.copytree(Path(__file__).with_name(name), folder / name, dirs_exist_ok=True)
    environment = folder / "environments/local.yaml"
    declared = yaml.safe_load(environment.read_text())
    for part, values in SHORTER.items():
        declared["service_overrides"][part].update(values)
    environment.write_text(yaml.safe_dump(declared))
    os.environ["REBAKE_CONFIG"] = str(folder)
    yield up.up(layout)
    up.down(layout)
    # Tests of other folders may follow in this process.
    os.environ.clear()
    os.environ.update(before)
    shutil.rmtree(layout.state, ignore_errors=True)


@pytest.fixture(scope="package")
def base(stack: Stack) -> RunOutcome:
    """Return the run that baked, tested and promoted the base image."""
    outcome = follow.run(stack.api, "rebuild_base_image", {"base": "debian-12"})
    assert outcome.state == "success"
    return outcome


@pytest.fixture(scope="package")
def bases(stack: Stack, base: RunOutcome) -> Runs:
    """Start a run for the demanding family, which has a good image from elsewhere, and one for all families."""
    runs, image = Runs(stack), stack.api.xcom(base.dag_id, base.run_id, "bake")["ami_id"]
    parameter = {"Name": parameter_name(base_name(DEMANDING), CURRENT), "Value": image, "DataType": DATA_TYPE}
    stack.cloud.client("ssm").put_parameter(**parameter, Type="String", Overwrite=True)
    runs.start(DEMANDING, base.dag_id, {"base": DEMANDING})
    runs.start("all", base.dag_id, {})
    return runs


@pytest.fixture(scope="package")
def first(stack: Stack, bases: Runs, project: Path) -> RunOutcome:
    """Return the run that deployed 1.0.0 to a fleet that did not exist before, while the runs of `bases` went on."""
    build("1.0.0", project / "build")
    outcome = follow.run(stack.api, "deploy_webapp", {"version": "1.0.0", "commit": "0123abc"})
    assert outcome.state == "success"
    return outcome


@pytest.fixture(scope="package")
def second(stack: Stack, bases: Runs, first: RunOutcome, project: Path) -> tuple[RunOutcome, Load]:
    """Return the run that replaced 1.0.0 by 1.1.0, and the load that ran meanwhile; a worker was killed in its bake."""
    for family in config.base_names():
        bases.follow(f"all: {family}", bases.outcome("all").dag_id, f"{family}__{bases.outcome('all').run_id}")
    bases.wait()  # what the tests look for in the cloud afterwards is of this run alone
    build("1.1.0", project / "build")
    url = stack.api.xcom(first.dag_id, first.run_id, "terraform_apply")["url"].rstrip("/")
    with Load(f"{url}/version", rate=30) as load:
        run_id = stack.api.trigger("deploy_webapp", {"version": "1.1.0"})
        injector = Injector(stack, injection.worker(), [point for point in POINTS if point.stage == "bake"])
        with ThreadPoolExecutor(1) as pool:
            injecting = pool.submit(injector.follow, "deploy_webapp", run_id, print)
            outcome = Follower(stack.api, "deploy_webapp", run_id, load.line).follow()
            injecting.result()
    assert outcome.state == "success"
    return outcome, load
