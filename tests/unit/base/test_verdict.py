"""Assertions on a base image: what fails each of them, and what is told then."""

import pytest

from rebake.base.inspection import decode
from rebake.base.verdict import IMDS_V2, Verdict, explain, verdicts
from tests.unit.base.base_facts import ASSERTIONS, LINES, encoded, instead


def _failed(*lines: str, imds_support: str = IMDS_V2) -> list[Verdict]:
    found = verdicts(ASSERTIONS, decode(encoded(*lines)), imds_support)
    return [verdict for verdict in found if not verdict.ok]


def test_an_instance_that_is_as_declared_passes_every_assertion() -> None:
    found = verdicts(ASSERTIONS, decode(encoded(*LINES)), IMDS_V2)

    assert [verdict for verdict in found if not verdict.ok] == []
    assert {verdict.assertion for verdict in found} >= {
        "hardening.ssh",
        "packages.installed sudo",
        "packages.absent telnetd",
        "services.enabled ssh.service",
        "services.active ssh.service",
        "services.disabled cups.service",
        "ports.open 22/tcp",
        "ports",
        "sysctls net.ipv4.ip_forward",
        "users.superusers",
        "users.with_shell",
        "users.with_password",
        "files /etc/shadow",
        "files /etc/hosts.equiv",
        "no_build_key",
        "no_ssh_host_keys",
        "imds_v2",
    }


@pytest.mark.parametrize(
    ("lines", "assertion", "expected", "found"),
    [
        (instead("package\tsudo"), "packages.installed sudo", "installed", "absent"),
        (("package\ttelnetd\t0.17-1\tamd64", *LINES), "packages.absent telnetd", "absent", "version 0.17-1"),
        (
            instead("service\tssh", "service\tssh.service\tdisabled\tactive"),
            "services.enabled ssh.service",
            "enabled",
            "disabled, active",
        ),
        (
            instead("service\tssh", "service\tssh.service\tenabled\tfailed"),
            "services.active ssh.service",
            "active",
            "enabled, failed",
        ),
        (
            instead("service\tcups", "service\tcups.service\tdisabled\tactive"),
            "services.disabled cups.service",
            "neither enabled nor active",
            "disabled, active",
        ),
        (instead("port\ttcp"), "ports.open 22/tcp", "open", "closed"),
        (
            ("port\ttcp\t*\t111\trpcbind", "port\tudp\t10.0.0.7\t111\t", *LINES),
            "ports",
            "only 22/tcp, 68/udp",
            "also 111/tcp (rpcbind), 111/udp (unknown process)",
        ),
        (
            ("port\tunknown\t*\tunknown\tss is not installed", *LINES),
            "ports",
            "only 22/tcp, 68/udp",
            "also unknown/unknown (ss is not installed)",
        ),
        (instead("sysctl", "sysctl\tnet.ipv4.ip_forward\t1"), "sysctls net.ipv4.ip_forward", "0", "1"),
        (("user\ttoor\t0\t/usr/sbin/nologin\tL", *LINES), "users.superusers", "only root", "also toor"),
        (("user\tmallory\t1001\t/bin/sh\tL", *LINES), "users.with_shell", "only root, admin", "also mallory"),
        (instead("user\tadmin", "user\tadmin\t1000\t/bin/bash\tP"), "users.with_password", "none", "also admin"),
        (instead("user\tadmin", "user\tadmin\t1000\t/bin/bash\tNP"), "users.with_password", "none", "also admin"),
        (
            instead("file\t/etc/shadow", "file\t/etc/shadow\t0644\troot\tshadow"),
            "files /etc/shadow",
            "mode 0640, owner root",
            "mode 0644, owner root",
        ),
        (instead("file\t/etc/shadow", "file\t/etc/shadow"), "files /etc/shadow", "present", "absent"),
        (
            instead("file\t/etc/hosts.equiv", "file\t/etc/hosts.equiv\t0644\troot\troot"),
            "files /etc/hosts.equiv",
            "absent",
            "present",
        ),
        (
            instead("check\tssh", "check\tssh\t1\tsshd would use 'permitrootlogin yes'"),
            "hardening.ssh",
            "passes",
            "sshd would use 'permitrootlogin yes'",
        ),
        (instead("check\tssh"), "hardening.ssh", "passes", "it did not run"),
        (
            ("authorized_key\t/home/admin/.ssh/authorized_keys\tpacker_6566", *LINES),
            "no_build_key",
            "no key in any authorized_keys",
            "/home/admin/.ssh/authorized_keys: packer_6566",
        ),
        (
            ("old_host_key\t/etc/ssh/ssh_host_rsa_key", *LINES),
            "no_ssh_host_keys",
            "no host key older than the boot",
            "/etc/ssh/ssh_host_rsa_key",
        ),
    ],
)
def test_an_assertion_that_does_not_hold_is_reported_with_what_was_expected_and_what_was_found(
    lines: tuple[str, ...], assertion: str, expected: str, found: str
) -> None:
    assert _failed(*lines) == [Verdict(assertion, False, expected, found)]


def test_an_image_whose_instances_would_allow_imds_v1_fails() -> None:
    assert _failed(*LINES, imds_support="") == [Verdict("imds_v2", False, "ImdsSupport v2.0", "ImdsSupport unset")]


def test_every_assertion_that_failed_is_named_not_only_the_first() -> None:
    failed = _failed(*instead("package\tsudo", "user\ttoor\t0\t/bin/sh\tP"))

    assert explain(failed, 17).splitlines() == [
        "4 of 17 assertions failed:",
        "packages.installed sudo: expected installed, found absent",
        "users.superusers: expected only root, found also toor",
        "users.with_shell: expected only root, admin, found also toor",
        "users.with_password: expected none, found also toor",
    ]
