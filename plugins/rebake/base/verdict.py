"""Whether a base image is as its family declares: every assertion with what was expected and what was found."""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rebake.base.inspection import Facts, File, Listener, UnitState
from rebake.config.assertions import Assertions, FileState, Ports, Services, Users

IMDS_V2: Final = "v2.0"
"""What an image's ImdsSupport is when its instances demand IMDSv2."""

_ENABLED: Final = frozenset({"enabled", "enabled-runtime", "alias"})
_OFF: Final = frozenset({"", "disabled", "masked", "masked-runtime", "not-found", "static", "indirect"})
_ACTIVE: Final = frozenset({"active", "activating", "reloading"})
_NO_SHELLS: Final = frozenset({"nologin", "false", "sync", "shutdown", "halt"})
_PASSWORDS: Final = frozenset({"P", "PS", "NP"})
"""`passwd --status` of a password that lets somebody in: set, or none needed. L and LK are locked."""
_NO_UNIT: Final = UnitState("", "")
_ANYWHERE: Final = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104 # compared with, not bound to


@dataclass(frozen=True)
class Verdict:
    """One assertion, held against the image."""

    assertion: str
    ok: bool
    expected: str
    found: str


def verdicts(assertions: Assertions, facts: Facts, imds_support: str) -> list[Verdict]:
    """Return a verdict on each thing asserted, in the order of the declaration.

    Args:
        assertions: what the family declares.
        facts: what a booted instance reported.
        imds_support: the image's ImdsSupport (EC2, DescribeImages); empty if it has none.
    """
    return [
        *_hardening(assertions.hardening, facts),
        *_packages(assertions, facts),
        *_services(assertions.services, facts),
        *(_ports(assertions.ports, facts.listeners) if assertions.ports else ()),
        *_sysctls(assertions, facts),
        *(_users(assertions.users, facts) if assertions.users else ()),
        *(_file(path, state, facts.files.get(path)) for path, state in assertions.files.items()),
        *_keys(assertions, facts),
        *_imds(assertions, imds_support),
    ]


def explain(failed: Sequence[Verdict], number: int) -> str:
    """Return a line for each failed assertion, under one that counts them."""
    lines = [f"{one.assertion}: expected {one.expected}, found {one.found}" for one in failed]
    return "\n".join([f"{len(failed)} of {number} assertions failed:", *lines])


def _same(assertion: str, expected: str, found: str) -> Verdict:
    return Verdict(assertion, expected == found, expected, found)


def _hardening(steps: Iterable[str], facts: Facts) -> Iterator[Verdict]:
    for step in steps:
        ended = facts.checks.get(step)
        ok = ended is not None and ended.code == 0
        found = "passes" if ok else (ended.output or f"exit {ended.code}") if ended else "it did not run"
        yield Verdict(f"hardening.{step}", ok, "passes", found)


def _packages(assertions: Assertions, facts: Facts) -> Iterator[Verdict]:
    versions: dict[str, str] = {package.name: package.version for package in facts.packages}
    for name in assertions.packages.installed:
        found = f"version {versions[name]}" if name in versions else "absent"
        yield Verdict(f"packages.installed {name}", name in versions, "installed", found)
    for name in assertions.packages.absent:
        found = f"version {versions[name]}" if name in versions else "absent"
        yield Verdict(f"packages.absent {name}", name not in versions, "absent", found)


def _services(services: Services, facts: Facts) -> Iterator[Verdict]:
    def judge(kind: str, units: Iterable[str], ok: Callable[[UnitState], bool], expected: str) -> Iterator[Verdict]:
        for unit in units:
            state = facts.services.get(unit, _NO_UNIT)
            found = ", ".join(filter(None, (state.enabled, state.active)))
            yield Verdict(f"services.{kind} {unit}", ok(state), expected, found or "no such unit")

    def is_off(state: UnitState) -> bool:
        return state.enabled in _OFF and state.active not in _ACTIVE

    yield from judge("enabled", services.enabled, lambda state: state.enabled in _ENABLED, "enabled")
    yield from judge("active", services.active, lambda state: state.active == "active", "active")
    yield from judge("disabled", services.disabled, is_off, "neither enabled nor active")


def _ports(ports: Ports, listeners: Iterable[Listener]) -> Iterator[Verdict]:
    found: dict[str, str] = {}
    for listener in listeners:
        if not _is_loopback(listener.address):
            found[listener.port] = listener.process
    for port in ports.open:
        yield Verdict(f"ports.open {port}", port in found, "open", "open" if port in found else "closed")
    named = {port: f"{port} ({process or 'unknown process'})" for port, process in found.items()}
    yield _only("ports", (*ports.open, *ports.allowed), named)


def _is_loopback(address: str) -> bool:
    bare = address.strip("[]").partition("%")[0].removeprefix("::ffff:")
    if bare in _ANYWHERE:
        return False
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False  # whatever it is, it is not shown to be harmless


def _sysctls(assertions: Assertions, facts: Facts) -> Iterator[Verdict]:
    for name, value in assertions.sysctls.items():
        yield _same(f"sysctls {name}", str(value), facts.sysctls.get(name) or "unset")


def _users(users: Users, facts: Facts) -> Iterator[Verdict]:
    superusers = [name for name, user in facts.users.items() if user.id == 0]
    shells = [name for name, user in facts.users.items() if user.shell.rpartition("/")[2] not in _NO_SHELLS]
    passwords = [name for name, user in facts.users.items() if user.password in _PASSWORDS]
    for kind, allowed, found in (
        ("superusers", users.superusers, superusers),
        ("with_shell", users.with_shell, shells),
        ("with_password", users.with_password, passwords),
    ):
        yield _only(f"users.{kind}", allowed, {name: name for name in found})


def _only(assertion: str, allowed: Sequence[str], found: Mapping[str, str]) -> Verdict:
    """Return the verdict on things of which no others may be there; `found` has a text for each."""
    expected = f"only {', '.join(allowed)}" if allowed else "none"
    surplus = [text for name, text in sorted(found.items()) if name not in allowed]
    return Verdict(assertion, not surplus, expected, f"also {', '.join(surplus)}" if surplus else expected)


def _file(path: str, state: FileState, found: File | None) -> Verdict:
    if state.absent or found is None:
        expected = "absent" if state.absent else "present"
        return _same(f"files {path}", expected, "present" if found else "absent")
    wanted = {"mode": state.mode, "owner": state.owner, "group": state.group}
    named = {name: value for name, value in wanted.items() if value is not None}
    return _same(
        f"files {path}",
        ", ".join(f"{name} {value}" for name, value in named.items()),
        ", ".join(f"{name} {getattr(found, name)}" for name in named),
    )


def _keys(assertions: Assertions, facts: Facts) -> Iterator[Verdict]:
    for wanted, assertion, expected, found in (
        (assertions.no_build_key, "no_build_key", "no key in any authorized_keys", facts.authorized_keys),
        (assertions.no_ssh_host_keys, "no_ssh_host_keys", "no host key older than the boot", facts.old_host_keys),
    ):
        if wanted:
            yield _same(assertion, expected, ", ".join(found) or expected)


def _imds(assertions: Assertions, imds_support: str) -> Iterator[Verdict]:
    if assertions.imds_v2:
        yield _same("imds_v2", f"ImdsSupport {IMDS_V2}", f"ImdsSupport {imds_support or 'unset'}")
