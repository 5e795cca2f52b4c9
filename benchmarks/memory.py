"""The memory of a clone's services, with shared pages counted in parts (PSS)."""

import re
from collections import Counter

from stack.layout import Layout
from stack.processes import keepers, marked, pids, read

_NAMES = (
    ("api_server|api-server", "Airflow: API server"),
    ("dag-processor|DagProcessor|dag_processor", "Airflow: DAG processor"),
    ("triggerer", "Airflow: triggerer"),
    ("scheduler|airflow worker|LocalExecutor", "Airflow: scheduler and workers"),
    ("localcloud", "embedded cloud"),
    ("podman", "container engine"),
)


def by_service(layout: Layout) -> Counter[str]:
    """Return bytes by service; the processes inside the instances are one of them."""
    parents = {pid: parent for pid in pids() if (parent := _parent(pid)) is not None}
    ours = set(marked(layout.clone_id))
    # Containers and their keepers (conmon) do not inherit the mark.
    containers = set(keepers(str(layout.podman)))
    found: Counter[str] = Counter()
    for pid in parents:
        if pid in ours:
            found[_service(_text(pid, "cmdline"))] += _pss(pid)
        elif _descends(pid, containers, parents):
            found["instances"] += _pss(pid)
    return found


def _descends(pid: int | None, ancestors: set[int], parents: dict[int, int]) -> bool:
    while pid:
        if pid in ancestors:
            return True
        pid = parents.get(pid)
    return False


def _service(command: str) -> str:
    return next((name for pattern, name in _NAMES if re.search(pattern, command)), "others")


def _text(pid: int, name: str) -> str:
    return read(f"/proc/{pid}/{name}").replace(b"\0", b" ").decode(errors="replace")


def _parent(pid: int) -> int | None:
    fields = _text(pid, "stat").rpartition(") ")[2].split()
    return int(fields[1]) if fields else None


def _pss(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", _text(pid, "smaps_rollup"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
