"""Reading rendered template fields: they are always text, whatever type the parameter had."""

from typing import Final

from rebake.exceptions import ConfigError

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off", "none", ""})


def as_text(value: object) -> str:
    """Return a rendered template field as text: a parameter without a value is `None`, or renders as "None"."""
    text = "" if value is None else str(value).strip()
    return "" if text == "None" else text


def as_bool(value: object, name: str) -> bool:
    """Return a rendered template field as a boolean.

    Raises:
        ConfigError: it is neither a boolean nor the name of one.
    """
    text = as_text(value).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ConfigError(f"{name} is {value!r}; it must be true or false")
