"""The pool that bounds concurrent bakes, made by Airflow's own processes when they start.

A task in a pool that does not exist is never scheduled, and nothing but a line in the scheduler's log says so. Pools
are rows of Airflow's database, which no task can write to. So this listener makes the pool wherever the plugin is
installed: on one machine, in the distributed stack and in production alike, and nobody has to remember it.
"""

from __future__ import annotations

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
        component: what starts: a `Job` of the scheduler, the triggerer or the DAG processor; or the process of a task,
            which may not write to Airflow's database, and is left alone.
    """
    # By name: a task's process would have to load the class only for this.
    if type(component).__name__ != "Job":
        return
    from airflow.models.pool import Pool

    try:
        slots = config.load_environment().policy.concurrent_bakes
    except ConfigError as error:
        # The tasks will say so too; a pool that is missing as well would only hide it.
        slots = Policy().concurrent_bakes
        log.warning("pool %s gets %d slots, because the environment's file is wrong: %s", BAKE_POOL, slots, error)
    Pool.create_or_update_pool(
        name=BAKE_POOL, slots=slots, description="Bakes that a new base image starts", include_deferred=False
    )
