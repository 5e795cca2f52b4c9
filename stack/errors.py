"""Errors of the commands, by exit status."""


class StackError(Exception):
    """Raised when something does not start, answer or end as it should: exit status 1."""

    exit_status = 1


class InputError(StackError):
    """Raised when the input is wrong: exit status 2."""

    exit_status = 2
