"""Part of the stage `test_image`, for base images: compare the booted instance with what the family declares."""

from typing import Any, Final

from airflow.sdk import Context

from rebake import config
from rebake.base.inspection import decode, script
from rebake.base.verdict import Verdict, explain, verdicts
from rebake.exceptions import ProbeFailedError
from rebake.hooks.image import ImageHook
from rebake.image.probe import Check
from rebake.image.probe_report import ProbeReport
from rebake.operators.test_image import LaunchProbeOperator, ProbeOperator

INSPECTION: Final = "inspection"
"""Name of the check that has the instance describe itself."""


class BaseReport(ProbeReport):
    """The test report of a base image."""

    assertions: list[Verdict]
    """The verdicts on what the family declares."""
    inspection: str
    """What the instance reported of itself, see `rebake.base.inspection.decode`."""


class LaunchBaseProbeOperator(LaunchProbeOperator):
    """Launch the temporary instance of a base image; `subject` is the name of its family.

    Args:
        **kwargs: those of `LaunchProbeOperator`.
    """

    def load(self) -> config.Base:
        """Return what the family's file declares."""
        return config.load_base(self.subject)


class AssertBaseOperator(ProbeOperator):
    """Wait until the temporary instance passes its family's checks, then compare it with the family's assertions.

    Return a `BaseReport`.

    Args:
        **kwargs: those of `ProbeOperator`; `subject` is the name of the family.
    """

    def load(self) -> config.Base:
        """Return what the family's file declares."""
        return config.load_base(self.subject)

    def checks(self) -> list[Check]:
        """Return the checks to run on the instance: the family's, and the inspection."""
        base = self.load()
        inspection = script(base.package_manager, base.assertions)
        return [*super().checks(), Check(INSPECTION, command=inspection, keeps_output=True)]

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the report, a `BaseReport`.

        Raises:
            ProbeFailedError: a check did not pass in time, the instance is gone, or an assertion does not hold.
            ImageError: the inspection is incomplete.
        """
        report = super().execute_complete(context, event)
        inspection = event["outputs"][INSPECTION]
        (ami_id,) = self.hook.images([self.instance_id]).values()
        image = ImageHook(**self.connection).describe(ami_id)
        found = verdicts(self.load().assertions, decode(inspection), image.imds_support)
        failed = [verdict for verdict in found if not verdict.ok]
        if failed:
            raise ProbeFailedError(f"base {self.subject} {ami_id} is bad: {explain(failed, len(found))}")
        self.log.info("all %d assertions on %s hold", len(found), ami_id)
        return BaseReport(**report, assertions=found, inspection=inspection).model_dump(mode="json")
