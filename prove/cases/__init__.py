"""Every case, in the order in which they run: later cases reuse the images of earlier ones."""

from typing import Final

from prove.case import Case
from prove.cases import airflow_killed, alarm, good, kills, leases, rollbacks, throttled, unhealthy

CASES: Final[tuple[Case, ...]] = (
    *good.CASES,
    *rollbacks.CASES,
    *alarm.CASES,
    *unhealthy.CASES,
    *leases.CASES,
    *throttled.CASES,
    *airflow_killed.CASES,
    *kills.CASES,
)
