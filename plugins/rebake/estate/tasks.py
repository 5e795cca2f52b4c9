"""The tasks of the estate's DAGs whose results other tasks or programs read."""

from enum import StrEnum


class EstateTask(StrEnum):
    """A task, by its id; `rebake.release.stage` has those of a deployment, which these DAGs share."""

    RECORD_BASE = "record_base"
    FIND_DEPENDENTS = "find_dependents"
    CHOOSE_VERSION = "choose_version"
    DEPLOY = "deploy"
    SCAN_ESTATE = "scan_estate"
    PLAN_FLEETS = "plan_fleets"
    REPORT_DRIFT = "report_drift"
    APPROVED = "approved"
    REPAIR_DRIFT = "repair_drift"
    REVOKE_IMAGE = "revoke_image"
