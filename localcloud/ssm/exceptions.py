"""Errors of Systems Manager that moto does not raise, with AWS's codes and texts."""

from collections.abc import Sequence

from moto.ssm.exceptions import SSMException


class InvalidInstanceIdError(SSMException):
    """Raised when a command is sent to an instance that does not run, or does not exist."""

    def __init__(self, instance_ids: Sequence[str], account_id: str) -> None:
        super().__init__(
            "InvalidInstanceId",
            f"Instances [[{', '.join(instance_ids)}]] not in a valid state for account {account_id}",
        )


class InvalidDocumentError(SSMException):
    """Raised when a command names a document other than those that are emulated."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "InvalidDocument", f"document {name} does not exist: the embedded cloud has AWS-RunShellScript only."
        )


class InvalidParametersError(SSMException):
    """Raised when a document's parameters are missing or malformed."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameters", message)


class InvalidCommandIdError(SSMException):
    """Raised when there is no command of that id."""

    def __init__(self) -> None:
        super().__init__("InvalidCommandId", "")


class InvocationDoesNotExistError(SSMException):
    """Raised when the command was not sent to that instance."""

    def __init__(self) -> None:
        super().__init__("InvocationDoesNotExist", "")
