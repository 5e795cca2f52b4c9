"""Make the embedded cloud fail on demand: `make fault KIND=… NAME=value…`, `LIST=1`, `CLEAR=1`."""

from collections.abc import Sequence
from typing import Any

import requests

from localcloud.faults import kinds
from localcloud.faults.exceptions import FaultError
from stack.cloud import Cloud
from stack.console import table
from stack.errors import InputError, StackError

USAGE = "make fault KIND=… [NAME=value…], make fault LIST=1, or make fault CLEAR=1 (or the id of one)"
OWN = ("KIND", "LIST", "CLEAR")
STATE_FIELDS = frozenset({"id", "kind", "state", "fired", "last_fired", "on"})
"""The fields of a fault that are not its settings."""


def parse(arguments: Sequence[str]) -> dict[str, str]:
    """Return what make was given, by name.

    Raises:
        InputError: it is none of the three commands, or names a kind or setting that does not exist.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise InputError(f"{argument!r} is not NAME=value: {USAGE}")
        if value:
            given[name] = value
    named = [name for name in OWN if name in given]
    if len(named) != 1:
        raise InputError(f"give one of {', '.join(named or OWN)}: {USAGE}; the kinds are {', '.join(kinds.KINDS)}")
    others = [name for name in given if name not in OWN]
    if named != ["KIND"] and others:
        raise InputError(f"{named[0]} goes alone, without {', '.join(others)}: {USAGE}")
    try:
        if named == ["KIND"]:
            kinds.read(_request(given))
    except FaultError as error:
        raise InputError(str(error)) from error
    return given


def run(cloud: Cloud, given: dict[str, str]) -> str:
    """Carry out the command and return what to print.

    Args:
        cloud: The embedded cloud.
        given: As `parse` returns it.

    Raises:
        InputError: there is no such fault.
        StackError: the embedded cloud does not answer.
    """
    if "KIND" in given:
        made = _ask(cloud, "POST", json=_request(given))
        return f"{made['id']}: {kinds.KINDS[made['kind']].does}\n{_settings(made)}".rstrip()
    if "CLEAR" in given:
        one = {} if given["CLEAR"] == "1" else {"id": given["CLEAR"]}
        _ask(cloud, "DELETE", params=one)
        return f"{one['id']} is removed" if one else "no fault is left"
    return render(_ask(cloud, "GET"))


def render(faults: list[dict[str, Any]]) -> str:
    """Return the faults as text for people."""
    if not faults:
        return "there are no faults"
    lines = table(
        ("fault", "state", "fired"),
        [(fault["id"], fault["state"], f"{fault['fired']} {kinds.KINDS[fault['kind']].counts}s") for fault in faults],
    ).splitlines()
    text = lines[:2]
    for line, fault in zip(lines[2:], faults, strict=True):
        text.append(f"{line}  {_settings(fault)}".rstrip())
        text += [f"    {count} x {subject}" for subject, count in fault["on"].items()]
    return "\n".join(text)


def _request(given: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in given.items()}


def _settings(fault: dict[str, Any]) -> str:
    return " ".join(f"{name.upper()}={_text(value)}" for name, value in fault.items() if name not in STATE_FIELDS)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={text}" for name, text in value.items())
    if isinstance(value, list):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ask(cloud: Cloud, method: str, **options: Any) -> Any:
    url = f"{cloud.settings.cloud_url}/_localcloud/faults"
    try:
        answer = requests.request(method, url, timeout=10, **options)
    except requests.RequestException as error:
        raise StackError(f"the embedded cloud does not answer at {url}: `make up` starts it") from error
    if not answer.ok:
        raise InputError(answer.json()["error"])
    return answer.json() if answer.content else None
