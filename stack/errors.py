"""Errors of the commands, by exit status."""

from __future__ import annotations


class StackError(Exception):
    """Raised when something does not start, answer or end as it must: exit status 1."""

    exit_status = 1


class InputError(StackError):
    """Raised when what was asked for cannot be right: exit status 2."""

    exit_status = 2
