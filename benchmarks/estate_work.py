"""One piece of a DAG's work, in a process of its own: `python -m benchmarks.estate_work NAME`.

The operators are those of the DAGs, without Airflow around them. Prints seconds, those of the
processor, and the most memory that the process held, as JSON on its last line. Imports are not timed: Airflow's take
longer than most of the work.
"""

import json
import resource
import sys
import time
from typing import Any

NAMES = ("nothing", "retire_images, dry run", "retire_images", "reap_orphans", "detect_drift")
"""`nothing` only does the imports: memory beyond that is the estate's."""


class TaskInstance:
    """Accepts what a task pushes to XCom."""

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep nothing."""


def operators() -> dict[str, Any]:
    """Return the operators by the names of `NAMES`."""
    from rebake.operators.reap_orphans import ReapOrphansOperator
    from rebake.operators.retire_images import RetireImagesOperator
    from rebake.operators.scan_drift import ScanEstateOperator

    return {
        "retire_images, dry run": RetireImagesOperator(task_id="retire_images", dry="true"),
        "retire_images": RetireImagesOperator(task_id="retire_images", dry="false"),
        "reap_orphans": ReapOrphansOperator(task_id="reap_orphans"),
        "detect_drift": ScanEstateOperator(task_id="scan_estate"),
    }


def main() -> None:
    """Measure it."""
    operator = operators().get(sys.argv[1])
    began, worked = time.monotonic(), time.process_time()
    if operator:
        operator.execute({"ti": TaskInstance()})
    seconds, cpu = time.monotonic() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
