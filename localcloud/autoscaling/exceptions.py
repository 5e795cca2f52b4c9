"""AWS's error codes and, where they are known, its very texts.

Texts marked "wording not compared with AWS" carry AWS's code and our own sentence.
"""

from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError
from moto.autoscaling.exceptions import ResourceContentionError as ResourceContentionError  # noqa: PLC0414 - as below
from moto.autoscaling.exceptions import ValidationError as ValidationError  # noqa: PLC0414 - exported to our modules

from localcloud.validation import Violation, sentences


class GroupNotFoundError(ValidationError):
    """No group of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")


class GroupInDeletionError(ValidationError):
    """The group exists only until its instances are gone."""

    message = "The AutoScaling group may not be modified while it is pending delete"


class GroupExistsError(AutoscalingClientError):
    """A group of that name exists."""

    code = "AlreadyExists"

    def __init__(self, name: str) -> None:
        super().__init__(f"AutoScalingGroup by this name already exists - A group with the name {name} already exists")


class GroupInUseError(AutoscalingClientError):
    """The group has instances and its deletion is not forced."""

    code = "ResourceInUse"
    message = (
        "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
        "still in the group."
    )


class ScalingInProgressError(AutoscalingClientError):
    """A scaling activity, or the cooldown after one, stands in the way."""

    code = "ScalingActivityInProgress"


class LimitExceededError(AutoscalingClientError):
    """A group may not have so many (wording not compared with AWS)."""

    code = "LimitExceeded"


class LaunchConfigurationNotFoundError(ValidationError):
    """No launch configuration of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Launch configuration name not found - Launch configuration {name} not found")


class LaunchConfigurationExistsError(AutoscalingClientError):
    """A launch configuration of that name exists; it can never be changed."""

    code = "AlreadyExists"

    def __init__(self, name: str) -> None:
        super().__init__(
            "Launch Configuration by this name already exists - A launch configuration already exists with the name "
            f"{name}"
        )


class LaunchConfigurationInUseError(AutoscalingClientError):
    """A group launches by the configuration."""

    code = "ResourceInUse"

    def __init__(self, name: str, group_name: str) -> None:
        super().__init__(
            f"Cannot delete launch configuration {name} because it is attached to AutoScalingGroup {group_name}"
        )


class InstanceNotFoundError(ValidationError):
    """No group has that instance."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")


class NotAMemberError(ValidationError):
    """The group does not have that instance."""

    def __init__(self, instance_id: str, group_name: str) -> None:
        super().__init__(f"The instance {instance_id} is not part of Auto Scaling group {group_name}.")


class SizesForbidError(ValidationError):
    """Moving instances in or out would take the desired capacity out of the group's sizes."""

    def __init__(self, group: Any, what: str, count: int) -> None:
        super().__init__(
            f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, and "
            f"desired-size={group.desired_capacity}. To {what} {count} instance{'' if count == 1 else 's'}, please "
            "update the AutoScalingGroup sizes appropriately."
        )


class MinimumForbidsError(ValidationError):
    """Terminating without a replacement would leave too few instances."""

    def __init__(self, minimum: int) -> None:
        super().__init__(
            f"Currently, desiredSize equals minSize ({minimum}). Terminating instance without replacement will "
            "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
            "group's min size."
        )


class CapacityOutOfBoundsError(ValidationError):
    """A desired capacity outside the group's sizes."""

    def __init__(self, desired: int, minimum: int, maximum: int) -> None:
        side, bound = ("above max", maximum) if desired > maximum else ("below min", minimum)
        super().__init__(f"New SetDesiredCapacity value {desired} is {side} value {bound} for the AutoScalingGroup.")


class RefreshInProgressError(AutoscalingClientError):
    """A refresh of the group is active."""

    code = "InstanceRefreshInProgress"
    message = "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."


class RefreshNotFoundError(AutoscalingClientError):
    """Nothing to cancel or roll back (wording not compared with AWS)."""

    code = "ActiveInstanceRefreshNotFound"

    def __init__(self, states: str, group_name: str) -> None:
        super().__init__(f"No {states} Instance Refresh found for Auto Scaling group {group_name}.")


class IrreversibleRefreshError(AutoscalingClientError):
    """The refresh cannot be rolled back (wording not compared with AWS)."""

    code = "IrreversibleInstanceRefresh"

    def __init__(self, why: str) -> None:
        super().__init__(f"The instance refresh can't be rolled back: {why}")


class InvalidNextTokenError(AutoscalingClientError):
    """A token that no earlier answer gave."""

    code = "InvalidNextToken"

    def __init__(self, token: str) -> None:
        super().__init__(f"The token '{token}' is invalid.")


class ConfigurationLockedError(ValidationError):
    """A template change while a refresh with a desired configuration is active."""

    def __init__(self) -> None:
        super().__init__(
            "An active instance refresh with a desired configuration exists. All configuration options derived from "
            "the desired configuration are not available for update while the instance refresh is active."
        )


class AutoRollbackWithoutTargetError(ValidationError):
    """AutoRollback needs a desired configuration."""

    def __init__(self) -> None:
        super().__init__(
            "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration "
            "parameter is empty. Set AutoRollback to false or specify a desired configuration and try again."
        )


class InvalidTemplateError(ValidationError):
    """A launch template that does not exist (wording not compared with AWS)."""

    def __init__(self, why: str) -> None:
        super().__init__(f"You must use a valid fully-formed launch template. {why}")


class NotEmulatedError(ValidationError):
    """A request that AWS would honour and the embedded cloud would silently not."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The embedded cloud does not emulate {what}. Leave it out here.")


def constraint_errors(*violations: tuple[str, object, str]) -> ValidationError:
    """Return AWS's collective error for values that break a constraint of the API's model.

    Args:
        violations: For each, the member's path, its value and what the member must do.
    """
    return ValidationError(sentences(Violation((member,), value, must) for member, value, must in violations))
