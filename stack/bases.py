"""On which base a release sits, and for how long there has been a newer one."""

from __future__ import annotations

import datetime as dt
from functools import cache

from rebake import config
from rebake.estate.outdated import Standing, promotions, standing
from rebake.exceptions import ConfigError
from rebake.release.record import ReleaseRecord
from stack.settings import ENVIRONMENT
from stack.up import Stack


class Bases:
    """The base families, each asked for once, however many releases are looked at.

    Args:
        stack: whose cloud is asked.
    """

    def __init__(self, stack: Stack) -> None:
        ssm = stack.cloud.client("ssm")
        environment = config.load_environment(ENVIRONMENT)
        self._grace_days = environment.policy.outdated_after_days
        self._service = cache(lambda name: config.load_service(name, environment))
        self._promotions = cache(lambda family: promotions(ssm, family))

    def standing(self, record: ReleaseRecord) -> Standing | None:
        """Return where a release's image stands; none if it has none yet, or its service's file is gone or wrong."""
        try:
            family = self._service(record.service).base
        except ConfigError:
            return None
        return standing(
            family,
            record.base_ami,
            self._promotions(family),
            now=dt.datetime.now(dt.UTC),
            grace_days=self._grace_days,
        )
