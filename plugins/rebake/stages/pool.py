"""The pool that bounds concurrent bakes, made by Airflow's own processes when they start.

A task in a pool that does not exist is never scheduled, and nothing but a line in the scheduler's log says so. Pools
are rows of Airflow's database, which no task can write to. So this listener makes the pool wherever the plugin is
installed: on one machine, in the distributed stack and in production.
"""

import logging
from typing import Any

from airflow.listeners import hookimpl

from rebake import config
from rebake.config.policy import Policy
from rebake.exceptions import ConfigError
from rebake.stages.dag_defaults import BAKE_POOL

log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: Any) -> None:
    """Make the pool, or give it the slots of the environment's policy.

    Args:
        component: a `Job` of the scheduler, the triggerer or the DAG processor; or the process of a task, which may not
            write to Airflow's database and is ignored.
    """
    # By name, so that a task's process does not load the class only for this.
    if type(component).__name__ != "Job":
        return
    from airflow.models.pool import Pool

    try:
        slots = config.load_environment().policy.concurrent_bakes
    except ConfigError as error:
        # The tasks report the wrong file; without the pool they would never run.
        slots = Policy().concurrent_bakes
        log.warning("pool %s gets %d slots, because the environment's file is wrong: %s", BAKE_POOL, slots, error)
    Pool.create_or_update_pool(
        name=BAKE_POOL, slots=slots, description="Bakes that a new base image starts", include_deferred=False
    )
