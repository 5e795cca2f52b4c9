"""The channels of an image, and the SSM parameters that hold them, such as `/rebake/webapp/current`.

They are built and taken apart here alone.
"""

from typing import Final

ROOT: Final = "/rebake"
"""What all parameters are below."""

CANDIDATE: Final = "candidate"
"""The newest image that passed its checks."""
CURRENT: Final = "current"
"""The image of the last successful release; for a base family, the one that new images are built on."""
PREVIOUS: Final = "previous"
"""The image that was current before."""
CHANNELS: Final = (CANDIDATE, CURRENT, PREVIOUS)

_BASES: Final = f"{ROOT}/bases"


def service_name(service: str) -> str:
    """Return the name under which a service's channels are, such as `/rebake/webapp`."""
    return f"{ROOT}/{service}"


def base_name(family: str) -> str:
    """Return the name under which a base family's channels are, such as `/rebake/bases/debian-12`."""
    return f"{_BASES}/{family}"


def parameter_name(name: str, channel: str) -> str:
    """Return the SSM parameter of a channel.

    Args:
        name: of `service_name` or `base_name`.
        channel: one of `CHANNELS`.
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel {channel!r} is none of {', '.join(CHANNELS)}")
    return f"{name}/{channel}"


def service_of(name: str) -> str:
    """Return whose channels a name holds: the service; empty where it is a base family's."""
    return "" if family_of(name) else name.removeprefix(f"{ROOT}/")


def family_of(name: str) -> str:
    """Return whose channels a name holds: the base family; empty where it is a service's."""
    return name.removeprefix(f"{_BASES}/") if name.startswith(f"{_BASES}/") else ""
