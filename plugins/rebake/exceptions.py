"""Errors, sorted by what the person on call can do about them.

RebakeError
├── ConfigError           a file or a parameter is wrong: correct it and trigger again
├── ArtifactError         the artifact is missing or damaged: build or upload it again
├── ImageError            an image does not exist, is not ours, or is not usable: choose another
│   └── RevokedError      an image, or what it was baked on, was revoked: read why, release another
├── ToolMissingError      Packer or Terraform cannot be found: install it on the worker
├── ToolFailedError       Packer or Terraform ran and failed: read the end of its output
├── ToolKilledError       Packer or Terraform was killed, and another try begins: give the worker more memory
├── ToolStoppedError      Packer or Terraform was stopped with its task: clear the task to go on
├── CloudUnreachableError the AWS API does not answer, or not now: check the address, or start the embedded cloud
├── ProbeFailedError      the temporary instance did not pass its checks: the image is bad
├── RolloutFailedError    the instance refresh did not end well: see the reason code
├── EstateError           the estate could not be seen whole, or a change of it was refused: read the report
├── DeploymentFailedError a deployment that another DAG started failed: read the log of its own run
└── SupersededError       another run acquired the lease: nothing to do, its outcome is what counts
"""


class RebakeError(Exception):
    """Base of every error that Rebake raises on purpose."""


class ConfigError(RebakeError):
    """Raised when a configuration file or a run's parameter breaks its rules."""


class ArtifactError(RebakeError):
    """Raised when the artifact of a version is missing, damaged or does not match its checksum."""


class ImageError(RebakeError):
    """Raised when an image is unknown, unavailable, or was not made by Rebake."""


class RevokedError(ImageError):
    """Raised when an image may not be released any more, or was baked on one that may not."""


class ToolMissingError(RebakeError):
    """Raised when a program that a stage calls is not on the worker, or is too old."""


class ToolFailedError(RebakeError):
    """Raised when Packer or Terraform ends with a failure; carries the end of what it printed."""


class ToolKilledError(RebakeError):
    """Raised when a signal that no task sent ends Packer or Terraform: the kernel's SIGKILL when memory runs out.

    Args:
        message: what happened.
        cleans_up: whether the program lives on for a moment and cleans up; if not, the stage has to.
    """

    def __init__(self, message: str, *, cleans_up: bool = False) -> None:
        super().__init__(message)
        self.cleans_up = cleans_up


class ToolStoppedError(RebakeError):
    """Raised when a task that is being killed has stopped Packer or Terraform."""


class CloudUnreachableError(RebakeError):
    """Raised when the AWS API does not answer, throttles or fails itself, for longer than is waited for."""


class ProbeFailedError(RebakeError):
    """Raised when a temporary instance of an image fails one of the service's checks."""


class RolloutFailedError(RebakeError):
    """Raised when an instance refresh ends in anything but success, or cannot be started.

    Args:
        message: what happened.
        ending: id of the refresh that is in the way and is ending already; empty if there is none.
        reason: a `rebake.rollout.refresh.Reason`; empty if the refresh could not be started.
        summary: the message without the state of the fleet.
    """

    def __init__(self, message: str, *, ending: str = "", reason: str = "", summary: str = "") -> None:
        super().__init__(message)
        self.ending = ending
        self.reason = reason
        self.summary = summary


class EstateError(RebakeError):
    """Raised when the estate could not be seen whole, or when AWS refused to change it; the report has the details."""


class DeploymentFailedError(RebakeError):
    """Raised when a deployment that a task has started and waited for did not do what it was to do."""


class SupersededError(RebakeError):
    """Raised when another run of the service has acquired the lease, see `rebake.release.lease`.

    Args:
        message: what happened, and when.
        by: that run, `<dag_id>/<run_id>`.
    """

    def __init__(self, message: str, *, by: str = "") -> None:
        super().__init__(message)
        self.by = by
