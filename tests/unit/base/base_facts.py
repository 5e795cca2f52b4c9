"""A declaration, an instance that is as it declares, and an account, for the tests of base images."""

import base64
import gzip
from datetime import UTC, datetime
from typing import Any

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from rebake import tags
from rebake.base.base_record import BaseRecord
from rebake.config.assertions import Assertions
from tests.support.aws import REGION, tag_list

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


FAMILY = "strict"


class BaseCloud:
    """An account with the environment's bucket."""

    def __init__(self, s3: Any) -> None:
        self.ec2: Any = boto3.client("ec2", region_name=REGION)
        self.s3 = s3
        self.ssm: Any = boto3.client("ssm", region_name=REGION)

    def image(self, name: str, imds_support: str = "v2.0") -> str:
        """Return a new image."""
        ami_id: str = self.ec2.register_image(Name=name)["ImageId"]
        labels = {tags.FINGERPRINT: "f" * 64, tags.BASE_AMI: "ami-0vendor", tags.TEMPLATE_VERSION: "1.1.0"}
        self.ec2.create_tags(Resources=[ami_id], Tags=tag_list(labels))
        # moto takes no ImdsSupport from a request, but tells it.
        kept: Any = ec2_backends[DEFAULT_ACCOUNT_ID][REGION].amis[ami_id]
        kept.imds_support = imds_support or None
        kept.creation_date = datetime(2026, 10, 1, 3, tzinfo=UTC)
        return ami_id

    def promote(self, ami_id: str) -> None:
        """Make an image the family's base."""
        self.ssm.put_parameter(Name=f"/rebake/bases/{FAMILY}/current", Value=ami_id, Type="String", Overwrite=True)

    def boot(self, ami_id: str) -> str:
        """Return an instance of the image."""
        return str(self.ec2.run_instances(ImageId=ami_id, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"])


def base_record(month: int) -> BaseRecord:
    """Return the record of an image that was baked in a month."""
    texts = ["environment", "image_name", "fingerprint", "template_version", "source_image", "dag_run", "sbom", "diff"]
    baked = datetime(2026, month, 1, 3, tzinfo=UTC)
    fields = {"family": FAMILY, "ami_id": "ami-1", "baked_at": baked, "recorded_at": baked, "previous_ami": None}
    return BaseRecord.model_validate({**dict.fromkeys(texts, "any"), **fields, "assertions": (), "packages": 2})
