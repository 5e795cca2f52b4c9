"""AWS's error codes and, where they are known, its very texts.

Texts below "wording not compared with AWS" carry AWS's code and our own sentence.
"""

from functools import partial
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError

from localcloud.exceptions import refusal
from localcloud.validation import Violation, sentences

_error = partial(refusal, AutoscalingClientError)
_invalid = partial(_error, "ValidationError")

group_not_found = _invalid("AutoScalingGroup name not found - AutoScalingGroup '{}' not found")
group_in_deletion = _invalid("The AutoScaling group may not be modified while it is pending delete")
group_exists = _error(
    "AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name {} already exists"
)
group_in_use = _error(
    "ResourceInUse",
    "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the "
    "group.",
)
configuration_not_found = _invalid("Launch configuration name not found - Launch configuration {} not found")
configuration_exists = _error(
    "AlreadyExists",
    "Launch Configuration by this name already exists - A launch configuration already exists with the name {}",
)
configuration_in_use = _error(
    "ResourceInUse", "Cannot delete launch configuration {} because it is attached to AutoScalingGroup {}"
)
instance_not_found = _invalid("Instance Id not found - No managed instance found for instance ID: {}")
not_a_member = _invalid("The instance {} is not part of Auto Scaling group {}.")
minimum_forbids = _invalid(
    "Currently, desiredSize equals minSize ({}). Terminating instance without replacement will violate group's min "
    "size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
)
scaling_in_progress = _error("ScalingActivityInProgress", "{}")
refresh_in_progress = _error(
    "InstanceRefreshInProgress",
    "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
)
invalid_next_token = _error("InvalidNextToken", "The token '{}' is invalid.")
configuration_locked = _invalid(
    "An active instance refresh with a desired configuration exists. All configuration options derived from the "
    "desired configuration are not available for update while the instance refresh is active."
)
auto_rollback_without_target = _invalid(
    "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter "
    "is empty. Set AutoRollback to false or specify a desired configuration and try again."
)
not_emulated = _invalid("The embedded cloud does not emulate {}. Leave it out here.")
# Wording not compared with AWS
limit_exceeded = _error("LimitExceeded", "{}")
refresh_not_found = _error("ActiveInstanceRefreshNotFound", "No {} Instance Refresh found for Auto Scaling group {}.")
irreversible_refresh = _error("IrreversibleInstanceRefresh", "The instance refresh can't be rolled back: {}")
invalid_template = _invalid("You must use a valid fully-formed launch template. {}")


def sizes_forbid(group: Any, what: str, count: int) -> ValidationError:
    """Return the error for moving instances in or out beyond the group's sizes."""
    return ValidationError(
        f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, and "
        f"desired-size={group.desired_capacity}. To {what} {count} instance{'' if count == 1 else 's'}, please "
        "update the AutoScalingGroup sizes appropriately."
    )


def constraint_error(member: str, value: object, must: str) -> ValidationError:
    """Return AWS's collective error for a value that breaks a constraint of the API's model."""
    return ValidationError(sentences([Violation((member,), value, must)]))
