"""Measure a clean clone: `make demo` cold, its memory, and `make demo` again, warm.

The clone is of the last commit, has no caches, and is removed afterwards; Debian packages that are installed already
stay, so that a bare machine takes longer by their installation.
"""

import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import memory
from stack.console import step, table
from stack.layout import Layout

GOALS = {"cold": 360, "warm": 150, "second": 90, "bake": 20, "memory": 3 * 2**30}


def run() -> str:
    """Measure all of it, and return the results as a part of the page.

    Raises:
        subprocess.CalledProcessError: a demo failed.
    """
    project = Layout.here().project
    clone = project / ".rebake" / "bench"
    _remove(clone)
    subprocess.run(["git", "clone", "--quiet", str(project), str(clone)], check=True)
    try:
        cold, cold_seconds = _demo(clone, "cold")
        taken = memory.by_service(Layout(clone.resolve()))
        subprocess.run(["make", "down"], cwd=clone, check=True)
        warm, warm_seconds = _demo(clone, "warm")
    finally:
        _remove(clone)
    return render(cold, cold_seconds, warm, warm_seconds, taken)


def _remove(clone: Path) -> None:
    if (clone / "Makefile").exists():
        subprocess.run(["make", "clean"], cwd=clone, check=False)
    subprocess.run(["rm", "-rf", str(clone)], check=True)


def _demo(clone: Path, name: str) -> tuple[dict[str, Any], float]:
    step(f"make demo, {name}")
    began = time.monotonic()
    subprocess.run(["make", "demo"], cwd=clone, check=True)
    seconds = time.monotonic() - began
    figures: dict[str, Any] = json.loads((clone / ".rebake" / "demo" / "result.json").read_text())
    return figures, seconds


def render(
    cold: dict[str, Any], cold_seconds: float, warm: dict[str, Any], warm_seconds: float, taken: Counter[str]
) -> str:
    """Return the results as a part of the page."""

    def run(figures: dict[str, Any], number: int) -> float:
        return float(figures["runs"][number]["seconds"])

    def bake(figures: dict[str, Any]) -> float:
        return max(float(figures["runs"][number]["stages"]["bake"]) for number in (1, 2))

    rows = [
        ("make demo, whole", f"{cold_seconds:.0f}", f"{warm_seconds:.0f}", f"{GOALS['cold']} / {GOALS['warm']}"),
        ("installing", f"{cold['install_seconds']:.0f}", f"{warm['install_seconds']:.0f}", ""),
        ("bringing the stack up", f"{cold['up_seconds']:.0f}", f"{warm['up_seconds']:.0f}", ""),
        ("base image", f"{run(cold, 0):.0f}", f"{run(warm, 0):.0f}", ""),
        ("first deployment", f"{run(cold, 1):.0f}", f"{run(warm, 1):.0f}", ""),
        ("second deployment, under load", f"{run(cold, 2):.0f}", f"{run(warm, 2):.0f}", f"{GOALS['second']}"),
        ("application bake, the longer one", f"{bake(cold):.1f}", f"{bake(warm):.1f}", f"{GOALS['bake']}"),
    ]
    requests = [
        (name, *(str(figures["requests"][key]) for figures in (cold, warm)))
        for name, key in (
            ("requests sent", "sent"),
            ("requests failed", "failed"),
            ("latency, median (ms)", "p50_ms"),
            ("latency, 99 % (ms)", "p99_ms"),
            ("latency, longest (ms)", "p100_ms"),
        )
    ]
    mib = [(name, f"{size / 2**20:.0f}") for name, size in taken.most_common()]
    mib.append(("all", f"{taken.total() / 2**20:.0f}"))
    return f"""## The demo: time (seconds)

```text
{table(("", "cold", "warm", "goal"), rows)}
```

### The second deployment's load

```text
{table(("", "cold", "warm"), requests)}
```

### Memory after the cold demo (MiB, PSS; the goal is {GOALS["memory"] // 2**20} in all)

```text
{table(("service", "MiB"), mib)}
```
"""
