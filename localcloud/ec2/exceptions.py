"""Errors of EC2 that moto does not raise, with AWS's codes and texts."""

from moto.ec2.exceptions import EC2ClientError


class ImageUnavailableError(EC2ClientError):
    """Raised when an instance is launched from an image that is not available yet."""

    def __init__(self, image_id: str) -> None:
        super().__init__("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is not available")


class UnknownSnapshotError(EC2ClientError):
    """Raised when there is no such snapshot; moto's error has no text."""

    def __init__(self, snapshot_id: str) -> None:
        super().__init__("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


class DuplicateImageNameError(EC2ClientError):
    """Raised when an image is created under a name that another one has."""

    def __init__(self, name: str, image_id: str) -> None:
        super().__init__("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image_id}")


class IncorrectInstanceStateError(EC2ClientError):
    """Raised when an instance's state does not allow what was requested."""

    def __init__(self, instance_id: str, action: str) -> None:
        super().__init__(
            "IncorrectInstanceState", f"The instance '{instance_id}' is not in a state from which it can be {action}."
        )


class UnknownProfileError(EC2ClientError):
    """Raised when an instance is to get an instance profile that does not exist."""

    def __init__(self, profile: str) -> None:
        kind = "ARN" if profile.startswith("arn:") else "name"
        super().__init__(
            "InvalidParameterValue",
            f"Value ({profile}) for parameter iamInstanceProfile.{kind.lower()} is invalid. Invalid IAM Instance "
            f"Profile {kind}",
        )


class NotStoppedError(EC2ClientError):
    """Raised when an attribute is set that only a stopped instance takes."""

    def __init__(self, instance_id: str) -> None:
        super().__init__("IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'stopped' state.")


class ImageParameterError(EC2ClientError):
    """Raised when an image is to be the value of a parameter that does not exist, or is no parameter for images."""

    def __init__(self, message: str) -> None:
        super().__init__("SsmInvalidParameter", message)


class VolumeTooSmallError(EC2ClientError):
    """Raised when a volume would be smaller than its snapshot."""

    def __init__(self, size: int, snapshot_id: str, needed: int) -> None:
        super().__init__(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', expect size>= {needed}GB",
        )


class InsufficientAddressesError(EC2ClientError):
    """Raised when the instances' network has no address left."""

    def __init__(self, cidr: str) -> None:
        super().__init__(
            "InsufficientFreeAddressesInSubnet",
            f"The embedded cloud's network {cidr} has no free address: terminate instances, or give it a larger one "
            "with --network-cidr.",
        )


class InvalidNextTokenError(EC2ClientError):
    """Raised when a page is requested by a token that no earlier page gave."""

    def __init__(self, token: str) -> None:
        super().__init__("InvalidNextToken", f"The token '{token}' is not valid.")
