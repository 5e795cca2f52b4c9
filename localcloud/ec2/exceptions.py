"""Errors of EC2 that moto does not raise, with AWS's codes and texts."""

from functools import partial

from moto.ec2.exceptions import EC2ClientError

from localcloud.exceptions import refusal

_error = partial(refusal, EC2ClientError)

image_unavailable = _error("InvalidAMIID.Unavailable", "The image ID '{}' is not available")
unknown_snapshot = _error("InvalidSnapshot.NotFound", "The snapshot '{}' does not exist.")  # moto's has no text
duplicate_image_name = _error("InvalidAMIName.Duplicate", "AMI name {} is already in use by AMI {}")
incorrect_instance_state = _error(
    "IncorrectInstanceState", "The instance '{}' is not in a state from which it can be {}."
)
not_stopped = _error("IncorrectInstanceState", "The instance '{}' is not in the 'stopped' state.")
unknown_profile = _error(
    "InvalidParameterValue",
    "Value ({}) for parameter iamInstanceProfile.{} is invalid. Invalid IAM Instance Profile {}",
)
image_parameter = _error("SsmInvalidParameter", "{}")
volume_too_small = _error(
    "InvalidBlockDeviceMapping", "Volume of size {}GB is smaller than snapshot '{}', expect size>= {}GB"
)
insufficient_addresses = _error(
    "InsufficientFreeAddressesInSubnet",
    "The embedded cloud's network {} has no free address: terminate instances, or give it a larger one with "
    "--network-cidr.",
)
invalid_next_token = _error("InvalidNextToken", "The token '{}' is not valid.")
