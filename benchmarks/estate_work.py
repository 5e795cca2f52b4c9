"""One piece of a DAG's work, in a process of its own: `python -m benchmarks.estate_work NAME`.

The operators are those of the DAGs, without Airflow around them. Prints seconds, and the most memory that the process
held, as JSON on its last line. Imports are not timed: Airflow's take longer than most of the work.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

NAMES = ("nothing", "retire_images, dry run", "retire_images", "detect_drift")
"""`nothing` loads what all of them load: what the others hold beyond that is the estate's."""


class TaskInstance:
    """Takes what a task hands on."""

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep nothing."""


def operators() -> dict[str, Any]:
    """Return the operators by the names of `NAMES`."""
    from rebake.operators.look_for_drift import LookAtEstateOperator
    from rebake.operators.retire_images import RetireImagesOperator

    return {
        "retire_images, dry run": RetireImagesOperator(task_id="retire_images", dry="true"),
        "retire_images": RetireImagesOperator(task_id="retire_images", dry="false"),
        "detect_drift": LookAtEstateOperator(task_id="look"),
    }


def main() -> None:
    """Measure it."""
    operator = operators().get(sys.argv[1])
    began = time.monotonic()
    if operator:
        operator.execute({"ti": TaskInstance()})
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
