"""Condition operators of policies, and the values that they are compared with.

A test is true, false, or unknown (None): of an operator or a key that cannot be evaluated here. Who asks decides what
unknown means: an `Allow` then does not apply, and a `Deny` does.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol


class UnknownKeyError(Exception):
    """Whether the request has that key, or with which value, cannot be said here."""


class Context(Protocol):
    """A request's values of condition keys."""

    def values(self, key: str) -> Sequence[str] | None:
        """Return the values of a key, or None of one that the request does not have.

        Raises:
            UnknownKeyError: it cannot be said.
        """


_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERAL = {"*": "*", "?": "?", "$": "$"}
_DEFAULT = re.compile(r"\s*([^,\s]+)\s*,\s*'([^']*)'\s*")


def expanded(text: str, context: Context | None) -> list[tuple[str, bool]] | None:
    """Split a text into parts, each with whether wildcards in it count; policy variables are replaced.

    Args:
        text: From a policy.
        context: None leaves variables as they are: policies older than version 2012-10-17 have none.

    Returns:
        The parts, or None when a variable has no value in this request.

    Raises:
        UnknownKeyError: a variable cannot be evaluated.
    """
    if context is None or "${" not in text:
        return [(text, True)]
    parts: list[tuple[str, bool]] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        parts.append((text[end : found.start()], True))
        end = found.end()
        name, default = found[1].strip(), None
        if with_default := _DEFAULT.fullmatch(found[1]):
            name, default = with_default[1], with_default[2]
        values = [_LITERAL[name]] if name in _LITERAL else context.values(name)
        value = values[0] if values and len(values) == 1 else default
        if value is None:
            return None
        parts.append((value, False))
    parts.append((text[end:], True))
    return parts


def plain(parts: Iterable[tuple[str, bool]]) -> str:
    """Return the text of parts, wildcards being characters like others."""
    return "".join(part for part, _ in parts)


def matches(parts: Sequence[tuple[str, bool]], value: str, *, any_case: bool = False) -> bool:
    """Return whether a text with the wildcards `*` and `?` describes the value."""
    return _pattern(tuple(parts), any_case).fullmatch(value) is not None


@cache
def _pattern(parts: tuple[tuple[str, bool], ...], any_case: bool) -> re.Pattern[str]:
    text = ""
    for part, wild in parts:
        escaped = re.escape(part)
        text += escaped.replace(r"\*", ".*").replace(r"\?", ".") if wild else escaped
    return re.compile(text, re.DOTALL | (re.IGNORECASE if any_case else 0))


def arn_matches(parts: Sequence[tuple[str, bool]], arn: str) -> bool:
    """Return whether a pattern describes the ARN: each of the six fields by itself, missing fields by anything."""
    fields: list[list[tuple[str, bool]]] = [[]]
    for part, wild in parts:
        first, *others = part.split(":", 6 - len(fields))
        fields[-1].append((first, wild))
        fields += [[(other, wild)] for other in others]
    values = arn.split(":", 5)
    if len(values) < 6:
        return matches(parts, arn)
    fields += [[("*", True)]] * (6 - len(fields))
    return all(matches(field, value) for field, value in zip(fields, values, strict=True))


def _date(text: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


Parts = Sequence[tuple[str, bool]]
_Compare = Callable[[Parts, str], bool]


def _ordered(read: Callable[[str], float]) -> dict[str, _Compare]:
    return {
        "equals": lambda wanted, value: read(value) == read(plain(wanted)),
        "lessthan": lambda wanted, value: read(value) < read(plain(wanted)),
        "lessthanequals": lambda wanted, value: read(value) <= read(plain(wanted)),
        "greaterthan": lambda wanted, value: read(value) > read(plain(wanted)),
        "greaterthanequals": lambda wanted, value: read(value) >= read(plain(wanted)),
    }


def _ip(wanted: Parts, value: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(plain(wanted), strict=False)


_POSITIVE: dict[str, _Compare] = {
    "stringequals": lambda wanted, value: plain(wanted) == value,
    "stringequalsignorecase": lambda wanted, value: plain(wanted).lower() == value.lower(),
    "stringlike": matches,
    "arnequals": arn_matches,
    "arnlike": arn_matches,
    "bool": lambda wanted, value: plain(wanted).lower() == value.lower(),
    "binaryequals": lambda wanted, value: plain(wanted) == value,
    "ipaddress": _ip,
    **{f"numeric{name}": compare for name, compare in _ordered(float).items()},
    **{f"date{name}": compare for name, compare in _ordered(_date).items()},
}
_NEGATIVE = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "notipaddress": "ipaddress",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
}


@dataclass(frozen=True)
class Test:
    """One key of one operator in a `Condition`."""

    operator: str
    quantifier: str
    if_exists: bool
    key: str
    wanted: tuple[str, ...]

    def holds(self, context: Context, *, variables: bool) -> bool | None:
        """Return whether a request passes, or None when that cannot be said."""
        if not self.known:
            return None
        try:
            return self._holds(context, context if variables else None)
        except (UnknownKeyError, ValueError):
            return None

    @property
    def known(self) -> bool:
        """Whether there is such an operator."""
        return (self.operator == "null" or self.operator in _POSITIVE or self.operator in _NEGATIVE) and (
            self.quantifier in {"", "forallvalues", "foranyvalue"}
        )

    def _holds(self, context: Context, variables: Context | None) -> bool | None:
        values = context.values(self.key)
        if self.operator == "null":
            return any((wanted.lower() == "true") == (not values) for wanted in self.wanted)
        if values is None and self.if_exists:
            return True
        negated = self.operator in _NEGATIVE
        if not values:
            return self.quantifier == "forallvalues" or (negated and not self.quantifier)
        compare = _POSITIVE[_NEGATIVE.get(self.operator, self.operator)]
        patterns = [expanded(wanted, variables) for wanted in self.wanted]
        found = [any(compare(pattern, value) for pattern in patterns if pattern is not None) for value in values]
        if negated:
            if None in patterns:
                return None  # nothing can be said to differ from a variable without a value
            return any(not one for one in found) if self.quantifier == "foranyvalue" else not any(found)
        return all(found) if self.quantifier == "forallvalues" else any(found)


def read(condition: Mapping[str, Mapping[str, Any]]) -> tuple[Test, ...]:
    """Read a `Condition`.

    Raises:
        Exception: one of several kinds, of what is no condition.
    """
    tests = []
    for operator, keys in condition.items():
        quantifier, colon, name = operator.lower().rpartition(":")
        if_exists = name.endswith("ifexists")
        for key, wanted in keys.items():
            values = tuple(_text(one) for one in (wanted if isinstance(wanted, list) else [wanted]))
            tests.append(Test(name.removesuffix("ifexists"), quantifier if colon else "", if_exists, key, values))
    return tuple(tests)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def every(results: Iterable[bool | None]) -> bool | None:
    """Return whether all hold: false if one does not, else unknown if one is."""
    collected = list(results)
    if False in collected:
        return False
    return None if None in collected else True
