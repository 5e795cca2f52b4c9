"""The upkeep of a large estate: how long it takes, how much memory, and how many API calls.

For each size an embedded cloud without machines is filled with images, services and instances, and each DAG's work runs
against it in a process of its own. All that work does by the AWS API is measured; the plans of Terraform, of which
`detect_drift` runs one for each fleet, are not.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.estate_cloud import client, make_groups
from benchmarks.estate_sizes import BUCKET, ENVIRONMENT, REGION, Size
from benchmarks.estate_work import NAMES
from stack.console import step, table
from stack.layout import Layout

SIZES = (Size(1_000), Size(10_000))
GOAL_SECONDS = 60
GOAL_BYTES = 300 * 2**20
CHANGES = ("Create", "Delete", "Deregister", "Disable", "Enable", "Modify", "Put", "Terminate")
SERVICE = "webapp"
"""The service whose file the others are made of."""


@dataclass(frozen=True)
class Measured:
    """The cost of one DAG's work."""

    name: str
    size: Size
    seconds: float
    cpu_seconds: float
    """Of the processor, by the work itself."""
    cloud_seconds: float
    """Of the processor, by the embedded cloud while it answered."""
    peak_bytes: int
    calls: Counter[str]

    @property
    def reads(self) -> int:
        """The number of calls that change nothing."""
        return sum(count for action, count in self.calls.items() if not action.startswith(CHANGES))


def run() -> str:
    """Measure all of it, and return the results as a part of the page."""
    found = [measured for size in SIZES for measured in _measure(size)]
    return render(found)


def _measure(size: Size) -> Iterator[Measured]:
    step(f"an estate of {size.images} images")
    project = Layout.here().project
    with tempfile.TemporaryDirectory(prefix="rebake-bench-") as folder, _cloud(size) as (url, pid):
        environment = _environment(project, Path(folder), size, url)
        for name in NAMES:
            step(f"{name}, {size.images} images")
            before = _cpu_seconds(pid)
            requests.delete(f"{url}/_localcloud/requests", timeout=60).raise_for_status()
            command = [sys.executable, "-m", "benchmarks.estate_work", name]
            done = subprocess.run(command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            figures = json.loads(done.stdout.splitlines()[-1])
            answered = _cpu_seconds(pid) - before
            log = requests.get(f"{url}/_localcloud/requests", timeout=60).json()
            yield Measured(
                *(name, size, figures["seconds"], figures["cpu_seconds"], answered, figures["peak_bytes"]),
                Counter(one["action"] for one in log),
            )


@contextmanager
def _cloud(size: Size) -> Iterator[tuple[str, int]]:
    """Start the cloud, wait until every instance of every group is there, and yield its address and process id."""
    command = [sys.executable, "-m", "benchmarks.estate_cloud", str(size.images)]
    with subprocess.Popen(command, cwd=Layout.here().project, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise RuntimeError(f"the embedded cloud did not start (status {process.wait(60)}): see above why")
            make_groups(size, url)
            _wait_for_instances(size, url)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait(60)


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_for_instances(size: Size, url: str) -> None:
    scaling = client("autoscaling", url)
    deadline = time.monotonic() + 600
    while True:
        pages = scaling.get_paginator("describe_auto_scaling_groups").paginate()
        groups = [group for page in pages for group in page["AutoScalingGroups"]]
        states = [one["LifecycleState"] for group in groups for one in group["Instances"]]
        if states.count("InService") == size.instances:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{states.count('InService')} of {size.instances} instances are there after 600 s")
        time.sleep(2)


def _environment(project: Path, folder: Path, size: Size, url: str) -> Mapping[str, str]:
    """Write the configuration, and return the environment variables that point a process at it."""
    for kind in ("services", "bases", "environments"):
        (folder / kind).mkdir()
    service = (project / "config" / "services" / f"{SERVICE}.yaml").read_text()
    for number, name in enumerate(size.services):
        base = size.families[number % len(size.families)]
        declared = service.replace(f"name: {SERVICE}", f"name: {name}").replace("base: debian-12", f"base: {base}")
        (folder / "services" / f"{name}.yaml").write_text(declared)
    base_file = (project / "config" / "bases" / "debian-12.yaml").read_text()
    for name in size.families:
        (folder / "bases" / f"{name}.yaml").write_text(base_file.replace("name: debian-12", f"name: {name}"))
    (folder / "environments" / f"{ENVIRONMENT}.yaml").write_text(
        f"name: {ENVIRONMENT}\nregion: {REGION}\nbucket: {BUCKET}\npipeline_cidrs: [10.64.0.0/16]\n"
    )
    connection = {
        "conn_type": "aws",
        "login": "bench",
        "password": "bench",
        "extra": {"region_name": REGION, "endpoint_url": url},
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AIRFLOW_"))}
    return {
        **kept,
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PYTHONPATH": f"{project / 'plugins'}:{project}",
        "REBAKE_CONFIG": str(folder),
        "REBAKE_ENVIRONMENT": ENVIRONMENT,
        "REBAKE_HOME": str(project),
        "REBAKE_WORK": str(folder / "work"),
    }


def render(found: list[Measured]) -> str:
    """Return the results as a part of the page."""
    rows = [
        (
            *(one.name, one.size.images, len(one.size.services), one.size.instances),
            *(f"{seconds:.1f}" for seconds in (one.seconds, one.cpu_seconds, one.cloud_seconds)),
            *(f"{one.peak_bytes / 2**20:.0f}", one.reads, one.calls.total() - one.reads),
        )
        for one in found
    ]
    head = (
        *("", "images", "services", "instances", "seconds", "of CPU", "of the cloud's"),
        *("MiB at most", "calls that read", "that change"),
    )
    work = [name for name in NAMES if any(one.calls for one in found if one.name == name)]
    actions = "\n\n".join(f"### {name}\n\n```text\n{_actions(name, found)}\n```" for name in work)
    return f"""## The upkeep of an estate

On the embedded cloud without machines (`localcloud --metadata-only`), which answers from the same cores. The goals
are {GOAL_SECONDS} seconds and {GOAL_BYTES // 2**20} MiB for each at 10,000 images; `nothing` is what a process holds
that has only loaded Airflow. The seconds of the processor, the work's and the cloud's, are what is left of the first
column on a machine that does nothing else.

```text
{table(head, rows)}
```

## API calls of the upkeep, by action

Pages of 1,000 images, of 250 instances, of 200 launch templates, of 100 groups and of 10 parameters; one call for each
fleet's refreshes and launch template versions, and for each change. None for each image.

{actions}
"""


def _actions(name: str, found: list[Measured]) -> str:
    measured = [one for one in found if one.name == name]
    every = sorted({action for one in measured for action in one.calls})
    head = ("", *(f"{one.size.images} images" for one in measured))
    return table(head, [(action, *(str(one.calls[action]) for one in measured)) for action in every])
