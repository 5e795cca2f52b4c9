"""What can be wrong with a fault that is requested."""

from localcloud.exceptions import LocalCloudError


class FaultError(LocalCloudError):
    """Raised when a fault is not one that there is; its text names the setting, the value, and what is allowed."""


class UnknownFaultError(LocalCloudError):
    """Raised when no fault has the id that is requested; its text names those that there are."""
