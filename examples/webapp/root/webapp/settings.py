"""The service's settings, from the environment and the files beside the program."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
INSTANCE_ID_FILE = Path("/var/lib/cloud/data/instance-id")
"""Where cloud-init writes the instance's id, readable for everyone."""

_Number = TypeVar("_Number", int, float)


class SettingsError(Exception):
    """Raised when a variable of the environment has a value that the service cannot use."""


@dataclass(frozen=True)
class Settings:
    """The service's settings; each `WEBAPP_<NAME>` variable of the environment sets one."""

    version: str
    host: str
    instance_id: str | None
    fault: str
    """What is broken on purpose in this build; empty in a real one."""
    bind: str = "0.0.0.0"  # noqa: S104 - the security group decides who may reach an instance
    port: int = 8080
    """0 lets the kernel choose a free one."""
    drain_seconds: float = 5.0
    """How long new requests are still served after SIGTERM."""
    finish_seconds: float = 20.0
    """How long, after that, an answer that has begun may take."""
    access_log: bool = False
    self_test: bool = False
    """Whether `bin/healthcheck --self-test` started this process."""

    @classmethod
    def read(cls, environ: Mapping[str, str], root: Path = ROOT) -> Settings:
        """Return the settings that `environ` and the files in `root` give.

        Raises:
            SettingsError: naming the variable and its value.
        """
        return cls(
            version=_text(root / "VERSION") or "unknown",
            host=socket.gethostname(),
            instance_id=_text(INSTANCE_ID_FILE),
            fault=_text(root / "FAULT") or "",
            bind=environ.get("WEBAPP_BIND", cls.bind),
            port=_number(environ, "WEBAPP_PORT", cls.port, int, 65535),
            drain_seconds=_number(environ, "WEBAPP_DRAIN_SECONDS", cls.drain_seconds, float, 3600),
            finish_seconds=_number(environ, "WEBAPP_FINISH_SECONDS", cls.finish_seconds, float, 3600),
            access_log=_flag(environ, "WEBAPP_ACCESS_LOG"),
            self_test=_flag(environ, "WEBAPP_SELF_TEST"),
        )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _number(
    environ: Mapping[str, str], name: str, default: _Number, kind: Callable[[str], _Number], most: _Number
) -> _Number:
    text = environ.get(name)
    if text is None:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = kind("-1")
    if not 0 <= value <= most:
        raise SettingsError(f"{name}={text!r}: must be a number from 0 to {most}")
    return value


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "0")
    if text not in ("0", "1"):
        raise SettingsError(f"{name}={text!r}: must be 0 or 1")
    return text == "1"
