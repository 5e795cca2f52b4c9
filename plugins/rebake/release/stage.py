"""The stages of a deployment and of a rollback."""

from enum import StrEnum


class Stage(StrEnum):
    """A stage, by the id of its task."""

    BAKE = "bake"
    CHOOSE_RELEASE = "choose_release"
    LAUNCH_PROBE = "test_image.launch"
    PROBE = "test_image.probe"
    TERMINATE_PROBE = "test_image.terminate"
    ACQUIRE_LEASE = "acquire_lease"
    STOP_REFRESH = "stop_refresh"
    PROMOTE_AMI = "promote_ami"
    TERRAFORM_APPLY = "terraform_apply"
    START_REFRESH = "start_refresh"
    WAIT_FOR_REFRESH = "wait_for_refresh"
    ROLL_BACK = "roll_back"
    RECORD_RELEASE = "record_release"
    FINALIZE = "finalize"
