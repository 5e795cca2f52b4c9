"""All of Airflow is killed while a bad image rolls out: AWS rolls back alone, and the restarted run reports it."""

import time
from typing import Final

from prove.case import Case
from prove.cases.alarm import ALARM, alarm
from prove.cases.unhealthy import check_rolled_back
from prove.helpers import wait
from prove.result import Check, Findings
from prove.scene import SERVICE, Scene
from rebake.rollout.refresh import ACTIVE_STATES, Reason

ILL_SECONDS: Final = 15
"""How long an instance of the bad image is there before Airflow dies."""


def _airflow_killed(scene: Scene) -> Findings:
    airflow, before, version = scene.stack.airflow, scene.service(), scene.other_version()
    with alarm(scene) as set_state:
        scene.fault(KIND="never-serves", TAGS=f"rebake:kind=fleet,rebake:version={version}")
        run = scene.trigger(f"deploy_{SERVICE}", version=version)
        scene.wait_for_progress(run, 0)
        time.sleep(ILL_SECONDS)
        scene.note("fault", "all of Airflow killed")
        for process in airflow.processes.values():
            process.kill()
        # AWS itself gives up an image that is never healthy after an hour; an alarm is what makes it minutes.
        set_state("ALARM", "too few healthy hosts")
        alone = wait("end of the refresh", lambda: _ended(scene), 300)
        is_down = not any(process.pid for process in airflow.processes.values())
        scene.note("run", "Airflow started again")
        airflow.start()
        airflow.wait()
        scene.follow(run)
    checks, facts = check_rolled_back(scene, run, before, Reason.ALARM)
    measured = f"{alone} by the alarm {ALARM}, {'no process' if is_down else 'a process'} of Airflow there"
    return Findings(
        [Check("AWS rolls back alone", measured, is_down and alone == "RollbackSuccessful"), *checks],
        facts,
    )


def _ended(scene: Scene) -> str:
    """Return how the newest refresh has ended; empty while it is under way."""
    newest = scene.newest_refresh()
    return "" if newest["Status"] in ACTIVE_STATES else str(newest["Status"])


CASES: Final = (
    Case(
        "airflow-killed",
        "Airflow killed whole, mid-refresh of a bad image",
        "AWS rolls back alone, here on an alarm; on restart the run ends failed with the true reason; `current` "
        "unchanged; 0 failed requests",
        _airflow_killed,
    ),
)
