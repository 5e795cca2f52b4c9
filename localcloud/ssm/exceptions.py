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


class InvalidPluginNameError(SSMException):
    """Raised when the command has no plugin of that name."""

    def __init__(self) -> None:
        super().__init__("InvalidPluginName", "The plugin name is not valid.")


class InvocationDoesNotExistError(SSMException):
    """Raised when the command was not sent to that instance."""

    def __init__(self) -> None:
        super().__init__("InvocationDoesNotExist", "")


class DuplicateInstanceIdError(SSMException):
    """Raised when a request names an instance twice."""

    def __init__(self) -> None:
        super().__init__("DuplicateInstanceId", "You can't specify a managed node ID twice.")


class InvalidFilterKeyError(SSMException):
    """Raised when a list is filtered by what it cannot be filtered by."""

    def __init__(self, key: str) -> None:
        super().__init__("InvalidFilterKey", f"The filter key {key} is not valid.")


class InvalidNextTokenError(SSMException):
    """Raised when a page is requested by a token that no earlier page gave."""

    def __init__(self, _: str) -> None:
        super().__init__("InvalidNextToken", "The specified token is not valid.")


class HierarchyLevelLimitExceededError(SSMException):
    """Raised when a parameter's name has too many levels."""

    def __init__(self, levels: int) -> None:
        super().__init__(
            "HierarchyLevelLimitExceededException", f"A parameter hierarchy can have a maximum of {levels} levels."
        )


class HierarchyTypeMismatchError(SSMException):
    """Raised when a parameter would change its type."""

    def __init__(self, name: str, before: str, after: str) -> None:
        super().__init__(
            "HierarchyTypeMismatchException",
            f"The type of parameter {name} can't be changed from {before} to {after}: create a new parameter.",
        )


class InvalidAllowedPatternError(SSMException):
    """Raised when a parameter's pattern is no regular expression."""

    def __init__(self, pattern: str) -> None:
        super().__init__(
            "InvalidAllowedPatternException", f"The request does not meet the regular expression requirement: {pattern}"
        )


class ParameterPatternMismatchError(SSMException):
    """Raised when a value does not match its parameter's pattern."""

    def __init__(self, pattern: str) -> None:
        super().__init__(
            "ParameterPatternMismatchException",
            f"Parameter value, cannot be validated against allowedPattern: {pattern}",
        )


class TooManyTagsError(SSMException):
    """Raised when a resource would have more tags than AWS allows."""

    def __init__(self) -> None:
        super().__init__("TooManyTagsError", "A resource can have at most 50 tags.")
