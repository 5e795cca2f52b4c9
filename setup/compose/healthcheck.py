"""Report by the exit status whether one component of Airflow is alive, as the API server knows from its heartbeats.

    python setup/compose/healthcheck.py scheduler

It imports nothing of Airflow, which alone would take seconds of a processor at every check.
"""

from __future__ import annotations

import json
import sys
import urllib.request

URL = "http://airflow-apiserver:8080/api/v2/monitor/health"


def main(component: str) -> int:
    """Return 0 when `component` (scheduler, dag_processor, triggerer or metadatabase) is healthy, else 1."""
    try:
        with urllib.request.urlopen(URL, timeout=5) as answer:
            status = json.load(answer)[component]["status"]
    except (OSError, ValueError, KeyError) as error:
        print(f"{component}: unknown: {error!r}", file=sys.stderr)  # the engine keeps it with the result
        return 1
    print(f"{component}: {status}")  # the engine keeps it with the result
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
