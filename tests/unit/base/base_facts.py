"""A declaration and an instance that is as it declares, for the tests of base images."""

import base64
import gzip
from typing import Any

from rebake.config.assertions import Assertions

DECLARED: dict[str, Any] = {
    "packages": {"installed": ["sudo"], "absent": ["telnetd"]},
    "services": {"enabled": ["ssh.service"], "active": ["ssh.service"], "disabled": ["cups.service"]},
    "ports": {"open": ["22/tcp"], "allowed": ["68/udp"]},
    "sysctls": {"net.ipv4.ip_forward": 0},
    "users": {"with_shell": ["root", "admin"]},
    "files": {"/etc/shadow": {"mode": "0640", "owner": "root"}, "/etc/hosts.equiv": {"absent": True}},
}
ASSERTIONS = Assertions.model_validate(DECLARED)

LINES = (
    "os\tdebian\t12",
    "package\tsudo\t1.9.13p3-1\tamd64",
    "package\tcurl\t7.88.1-10\tamd64",
    "service\tssh.service\tenabled\tactive",
    "service\tcups.service\tmasked\tinactive",
    "port\ttcp\t0.0.0.0\t22\tsshd",
    "port\ttcp\t[::]\t22\tsshd",
    "port\tudp\t127.0.0.53%lo\t53\tsystemd-resolve",
    "sysctl\tnet.ipv4.ip_forward\t0",
    "user\troot\t0\t/bin/bash\tL",
    "user\tsync\t4\t/bin/sync\tL",
    "user\tdaemon\t1\t/usr/sbin/nologin\tL",
    "user\tadmin\t1000\t/bin/bash\tL",
    "file\t/etc/shadow\t0640\troot\tshadow",
    "file\t/etc/hosts.equiv",
    "check\taccounts\t0\t",
    "check\tkernel\t0\t",
    "check\tservices\t0\t",
    "check\tssh\t0\t",
    "end",
)
"""What the instance reports; it keeps every assertion."""


def encoded(*lines: str) -> str:
    """Return lines as Run Command hands them on."""
    return base64.b64encode(gzip.compress("\n".join(lines).encode() + b"\n", mtime=0)).decode()


def instead(begin: str, *lines: str) -> tuple[str, ...]:
    """Return the instance's lines, with others in place of those that begin so."""
    kept = [line for line in LINES if not line.startswith(begin)]
    assert len(kept) < len(LINES), begin
    return (*lines, *kept)
