"""What an instance is like: the script that tells it by Run Command, and what its answer says."""

from __future__ import annotations

import base64
import binascii
import gzip
import shlex
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rebake import paths
from rebake.config.assertions import Assertions
from rebake.exceptions import ImageError

OUTPUT_LIMIT: Final = 24_000
"""Characters of a command's output that GetCommandInvocation returns; it drops the rest without a word."""

_SCRIPT: Final = Path(__file__).with_name("inspection.sh")


@dataclass(frozen=True, order=True)
class Package:
    """One installed package."""

    name: str
    version: str
    architecture: str = ""


@dataclass(frozen=True)
class UnitState:
    """How systemd has a unit: `enabled` and `active` in its own words, empty where it does not know the unit."""

    enabled: str
    active: str


@dataclass(frozen=True)
class Listener:
    """A socket that listens: `port` such as `22/tcp`, and the process if it is known."""

    address: str
    port: str
    process: str = ""


@dataclass(frozen=True)
class User:
    """An account; `password` is `passwd --status`: P or PS for a usable one."""

    id: int
    shell: str
    password: str


@dataclass(frozen=True)
class File:
    """How a file is kept; `mode` in four octal digits."""

    mode: str
    owner: str
    group: str


@dataclass(frozen=True)
class Ended:
    """How the check of a hardening step ended."""

    code: int
    said: str


@dataclass(frozen=True)
class Facts:
    """All that the instance told."""

    os_id: str
    os_version: str
    packages: list[Package] = field(default_factory=list)
    services: dict[str, UnitState] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    files: dict[str, File | None] = field(default_factory=dict)
    """None for a file that is not there."""
    authorized_keys: list[str] = field(default_factory=list)
    old_host_keys: list[str] = field(default_factory=list)
    """Host keys that are older than the image."""
    checks: dict[str, Ended] = field(default_factory=dict)
    """Of hardening steps."""


def script(package_manager: str, assertions: Assertions) -> str:
    """Return the script that tells what `assertions` ask for, and every package.

    Args:
        package_manager: `apt` or `dnf`.
        assertions: of the family.
    """
    scripts = paths.home() / "packer" / "scripts"
    services = assertions.services
    checks = [
        f"check {step} <<'END_OF_CHECK'\n{(scripts / 'checks' / f'harden-{step}.sh').read_text(encoding='utf-8')}"
        "END_OF_CHECK\n"
        for step in assertions.hardening
    ]
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            f"REBAKE_PACKAGE_MANAGER={shlex.quote(package_manager)}",
            (scripts / "packages.sh").read_text(encoding="utf-8"),
            _array("services", dict.fromkeys([*services.enabled, *services.active, *services.disabled])),
            _array("sysctls", assertions.sysctls),
            _array("files", assertions.files),
            "checks() {\n:\n" + "".join(checks) + "}",
            _SCRIPT.read_text(encoding="utf-8"),
        ]
    )


def decode(output: str) -> Facts:
    """Return the facts that the script printed.

    Raises:
        ImageError: the output is not whole.
    """
    try:
        text = gzip.decompress(base64.b64decode(output.strip(), validate=True)).decode("utf-8", "replace")
    except (binascii.Error, EOFError, OSError, zlib.error) as error:
        cut = f"it was cut at {OUTPUT_LIMIT} characters" if len(output) >= OUTPUT_LIMIT else repr(output[:200])
        raise ImageError(f"what the instance told of itself cannot be read: {error}: {cut}") from error
    rows: dict[str, list[list[str]]] = defaultdict(list)
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        rows[kind].append(fields)
    if "end" not in rows:
        raise ImageError(f"what the instance told of itself has no end: {text[-200:]!r}")
    if not rows["package"]:
        raise ImageError("the instance could not tell its packages: an image has some")
    return _facts(rows)


def _facts(rows: Mapping[str, list[list[str]]]) -> Facts:
    ((os_id, os_version),) = rows["os"]
    return Facts(
        os_id,
        os_version,
        packages=[Package(*row) for row in rows["package"]],
        services={unit: UnitState(*states) for unit, *states in rows["service"]},
        listeners=[Listener(address, f"{port}/{protocol}", name) for protocol, address, port, name in rows["port"]],
        sysctls={row[0]: row[1] for row in rows["sysctl"]},
        users={name: User(int(number), shell, password) for name, number, shell, password in rows["user"]},
        files={path: File(*kept) if kept else None for path, *kept in rows["file"]},
        authorized_keys=[f"{path}: {comment}" for path, comment in rows["authorized_key"]],
        old_host_keys=[path for (path,) in rows["old_host_key"]],
        checks={step: Ended(int(code), said) for step, code, said in rows["check"]},
    )


def _array(name: str, values: Iterable[str]) -> str:
    return f"{name}=({' '.join(shlex.quote(value) for value in values)})"
