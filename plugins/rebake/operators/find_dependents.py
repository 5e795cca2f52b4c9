"""The task `find_dependents`: which services bake on a base that was just promoted."""

from collections.abc import Sequence
from typing import Any, Final

from airflow.sdk import BaseOperator, Context

from rebake import config
from rebake.estate import dependents
from rebake.estate.dependents import FoundDependents
from rebake.exceptions import ConfigError
from rebake.image.recipe import base_asset_uri

FOUND: Final = "found"
"""XCom key of the `FoundDependents`. Airflow maps over nothing but a return value, so the names are not among them."""


class FindDependentsOperator(BaseOperator):
    """Return the names of the dependents of new bases; no AWS request is made. Further XCom key: `found`.

    Args:
        base: the family, in a run by hand; empty for all of them (templated).
    """

    template_fields: Sequence[str] = ("base",)

    def __init__(self, *, base: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base = base

    def execute(self, context: Context) -> list[str]:
        """Return the services, by name, whose family is among those of the events, or of the run's parameter.

        Raises:
            ConfigError: the environment's file is wrong.
        """
        families = self._families(context)
        services = config.load_services(config.load_environment())
        for name, service in services.items():
            if isinstance(service, ConfigError):
                self.log.warning("%s is no dependent of any base: %s", name, service)
        names = dependents.dependents(services, families)
        found = FoundDependents(families=tuple(families), skipped=tuple(dependents.skipped(services, families)))
        context["ti"].xcom_push(key=FOUND, value=found.model_dump(mode="json"))
        self.log.info("%s: dependents: %s", ", ".join(families) or "no family", ", ".join(names) or "no service")
        return names

    def _families(self, context: Context) -> list[str]:
        """Return the families whose assets started the run; of several events of one, the newest counts anyway."""
        known = config.base_names()
        events: Any = context.get("triggering_asset_events") or {}
        promoted = {asset.uri: sent[-1].extra.get("ami_id") for asset, sent in events.items() if hasattr(asset, "uri")}
        for uri, ami_id in promoted.items():
            self.log.info("%s was promoted for %s", ami_id, uri)
        if promoted:
            return [family for family in known if base_asset_uri(family) in promoted]
        return [self.base] if self.base else known
