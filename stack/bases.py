"""Which base a release is baked on, and for how long there has been a newer one."""

import datetime as dt
from functools import cache

from rebake import config
from rebake.estate.outdated import Standing, promotions, standing
from rebake.exceptions import ConfigError
from rebake.release.record import ReleaseRecord
from stack.settings import ENVIRONMENT
from stack.up import Stack


class Bases:
    """The base families, each read once, however many releases refer to it.

    Args:
        stack: whose cloud is read.
    """

    def __init__(self, stack: Stack) -> None:
        ssm = stack.cloud.client("ssm")
        environment = config.load_environment(ENVIRONMENT)
        self._grace_days = environment.policy.outdated_after_days
        self._service = cache(lambda name: config.load_service(name, environment))
        self._promotions = cache(lambda family: promotions(ssm, family))

    def standing(self, record: ReleaseRecord) -> Standing | None:
        """Return how old a release's base is; None without an image, or without a valid service file."""
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
