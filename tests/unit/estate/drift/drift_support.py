"""A small estate for the tests of drift: one fleet of three instances that is as it was declared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rebake import tags
from rebake.config import load_environment, load_service
from rebake.config.policy import Policy
from rebake.estate.drift import drift
from rebake.estate.drift.drift import Scan, Services, View
from rebake.estate.drift.finding import Finding, FindingKind, Unseen
from rebake.estate.drift.posture import Opening, SecurityGroup
from rebake.estate.inventory import Channel, Estate, Fleet, Image, Instance, Template, TemplateVersion

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD, OTHER = "ami-0000000a", "ami-0000000b"
BASE = "ami-000000ba"
FLEET_TAGS = {tags.KIND: tags.KIND_FLEET, tags.SERVICE: "webapp", tags.ENVIRONMENT: "local"}


def image(ami_id: str = GOOD, **more: Any) -> Image:
    labels = {tags.KIND: tags.KIND_APP_IMAGE, tags.SERVICE: "webapp", tags.VERSION: "1.0.0", tags.BASE_AMI: BASE}
    return Image(
        id=ami_id,
        name=ami_id,
        state=more.pop("state", "available"),
        created="2026-11-01T00:00:00Z",
        tags={**labels, **more.pop("labels", {})},
        snapshots=(),
        **more,
    )


def instance(number: int, **more: Any) -> Instance:
    settings: dict[str, Any] = {
        "id": f"i-{number}",
        "ami_id": GOOD,
        "state": "running",
        "launched": NOW - timedelta(days=1),
        "tags": FLEET_TAGS,
        "group_name": "webapp-local",
        "lifecycle": "InService",
        "http_tokens": "required",
        "security_group_ids": ("sg-instance",),
    }
    return Instance(**{**settings, **more})


INSTANCES = tuple(instance(number) for number in (1, 2, 3))
FLEET = Fleet("webapp-local", "webapp", "lt-1", "1", FLEET_TAGS, 3, ("i-1", "i-2", "i-3"))
VERSION = TemplateVersion(1, GOOD, is_default=True, created=NOW)
TEMPLATE = Template("lt-1", "webapp-local", FLEET_TAGS, (VERSION,))
CURRENT = Channel("/rebake/webapp", "current", GOOD)
ESTATE = Estate((image(),), INSTANCES, (TEMPLATE,), (FLEET,), (CURRENT,))

FROM_LOAD_BALANCER = Opening("tcp", 8080, 8080, "sg-balancer")
FROM_CLIENTS = Opening("tcp", 8080, 8080, "0.0.0.0/0")
GROUPS = (
    SecurityGroup("sg-instance", "webapp-local-instance", FLEET_TAGS, (FROM_LOAD_BALANCER,)),
    SecurityGroup("sg-balancer", "webapp-local-load-balancer", FLEET_TAGS, (FROM_CLIENTS,)),
)


def with_instance(changed: Instance, *, member: bool = True) -> Estate:
    """Return the estate with one instance in the place of the first, or besides the fleet's."""
    if not member:
        return replace(ESTATE, instances=(*INSTANCES, changed))
    return replace(ESTATE, instances=(replace(changed, id="i-1"), *INSTANCES[1:]))


def scan(
    estate: Estate = ESTATE,
    groups: Sequence[SecurityGroup] = GROUPS,
    *,
    services: Services | None = None,
    policy: Policy | None = None,
    busy: Mapping[str, str] | None = None,
    promotions: Mapping[str, Any] | None = None,
) -> Scan:
    """Return what is found in an estate whose only service file is that of webapp."""
    return drift.scan(
        View(estate, groups, promotions or {}),
        services or Services({"webapp": load_service("webapp", load_environment("local"))}, {}),
        environment="local",
        policy=policy or Policy(),
        now=NOW,
        busy=busy or {},
    )


def only(found: Scan) -> Finding:
    """Return the one finding that there is."""
    (finding,) = found.findings
    return finding


DELAY = Finding(
    FindingKind.INFRASTRUCTURE, "attribute", "webapp", "aws_lb_target_group.fleet", "deregistration_delay", "60", "5"
)
SSH = Finding(FindingKind.POSTURE, "port-22", "webapp", "sg-1", "tcp 22 from 0.0.0.0/0", repairable=True)
OTHERS = Finding(FindingKind.INFRASTRUCTURE, "attribute", "pages", "aws_lb.fleet", "internal")
ROLLING = Unseen("webapp", FindingKind.INFRASTRUCTURE, "rolling")
