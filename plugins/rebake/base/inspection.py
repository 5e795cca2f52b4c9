"""The inspection of an instance: the script that Run Command runs on it, and the facts in its output."""

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
"""Characters of a command's output that GetCommandInvocation returns; it drops the rest silently."""

_SCRIPT: Final = Path(__file__).with_name("inspection.sh")


@dataclass(frozen=True, order=True)
class Package:
    """One installed package."""

    name: str
    version: str
    architecture: str = ""


@dataclass(frozen=True)
class UnitState:
    """A unit's systemd state: `enabled` and `active` as systemctl prints them, empty for an unknown unit."""

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
    """Mode and owners of a file; `mode` in four octal digits."""

    mode: str
    owner: str
    group: str


@dataclass(frozen=True)
class CheckResult:
    """Exit status and output of a hardening step's check."""

    code: int
    output: str


@dataclass(frozen=True)
class Facts:
    """All that the instance reported."""

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
    checks: dict[str, CheckResult] = field(default_factory=dict)
    """Of hardening steps."""


def script(package_manager: str, assertions: Assertions) -> str:
    """Return the script that reports what `assertions` need, and every package.

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
        raise ImageError(f"the inspection's output cannot be read: {error}: {cut}") from error
    rows: dict[str, list[list[str]]] = defaultdict(list)
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        rows[kind].append(fields)
    if "end" not in rows:
        raise ImageError(f"the inspection's output has no end: {text[-200:]!r}")
    if not rows["package"]:
        raise ImageError("the inspection reports no packages: an image has some")
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
        checks={step: CheckResult(int(code), output) for step, code, output in rows["check"]},
    )


def _array(name: str, values: Iterable[str]) -> str:
    return f"{name}=({' '.join(shlex.quote(value) for value in values)})"
