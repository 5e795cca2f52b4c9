"""Measure, and write `benchmarks/results.md`: `python -m benchmarks.run [--only PART]`.

Each part of the page is written by the module of its name; with one part only, the others stay as they are.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import demo, estate, parse
from stack.console import step

RESULTS: Final = Path(__file__).with_name("results.md")
PARTS: Final[dict[str, Callable[[], str]]] = {"demo": demo.run, "estate": estate.run, "parse": parse.run}
HEAD: Final = "# Measured\n\nBy `make bench`, one run each. The method is at the top of each module in `benchmarks/`.\n"


def main() -> int:
    """Run the parts; return 1 if one failed, else 0."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", choices=sorted(PARTS), help="measure this part only")
    only = parser.parse_args().only
    for name in [only] if only else PARTS:
        try:
            part = PARTS[name]()
        except (subprocess.CalledProcessError, TimeoutError) as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            return 1
        before = RESULTS.read_text() if RESULTS.exists() else HEAD
        RESULTS.write_text(replace(before, name, f"{_where()}\n\n{part}"))
        step(f"written: {RESULTS.name}, {name}")
    return 0


def replace(page: str, name: str, part: str) -> str:
    """Return the page with that part in place of the one of the same name, or at the end."""
    marked = f"<!-- {name} -->\n\n{part.strip()}\n\n<!-- end of {name} -->\n"
    old = re.compile(rf"<!-- {name} -->\n.*?<!-- end of {name} -->\n", re.DOTALL)
    return old.sub(lambda _: marked, page) if old.search(page) else f"{page.rstrip()}\n\n{marked}"


def _where() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    return (
        f"At commit {commit.strip()}, on {os.cpu_count()} cores of a {platform.machine()} machine; "
        f"its load average at the end was {os.getloadavg()[0]:.1f}."
    )


if __name__ == "__main__":
    sys.exit(main())
