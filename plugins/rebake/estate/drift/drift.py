"""The three-way view of drift, by image id: the registry, what a fleet launches, and what it runs.

Plain functions over the inventory. `scan` is all that `detect_drift` finds by the AWS API, without Terraform.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rebake import tags
from rebake.config import Service
from rebake.config.policy import Policy
from rebake.estate import revocation
from rebake.estate.drift import posture
from rebake.estate.drift.finding import Finding, FindingKind, Unseen
from rebake.estate.drift.posture import SecurityGroup
from rebake.estate.inventory import LATEST, Estate, Fleet, Instance, TemplateUse
from rebake.estate.outdated import Promotion, standing
from rebake.image.channels import CURRENT, service_name

ROLLING: Final = "rolling"


@dataclass(frozen=True)
class Services:
    """What `config/services/` declares: files that can be read, and what is wrong with the others."""

    valid: Mapping[str, Service]
    broken: Mapping[str, str]

    @property
    def names(self) -> set[str]:
        """All of them."""
        return {*self.valid, *self.broken}


@dataclass(frozen=True)
class View:
    """What was read from AWS."""

    estate: Estate
    groups: Collection[SecurityGroup]
    promotions: Mapping[str, Sequence[Promotion]]
    """Of each base family, the oldest first."""


@dataclass(frozen=True)
class Deployed:
    """A fleet whose declared infrastructure can be compared by a plan."""

    service: str
    auto_scaling_group_name: str
    ami_id: str
    """The image of the current release."""
    version: str
    """The application's version in it."""


@dataclass(frozen=True)
class Scan:
    """What was found, and what could not be judged."""

    findings: tuple[Finding, ...]
    unseen: tuple[Unseen, ...]
    deployed: tuple[Deployed, ...]
    """The fleets of services that have a file and a release, and are not being rolled."""


def fleets(estate: Estate, environment: str) -> dict[str, Fleet]:
    """Return the environment's fleets by service."""
    return {fleet.service: fleet for fleet in estate.our_fleets if fleet.environment == environment}


def scan(
    view: View, services: Services, *, environment: str, policy: Policy, now: datetime, busy: Mapping[str, str]
) -> Scan:
    """Return everything that is found without Terraform.

    Args:
        view: what there is.
        services: what is declared.
        environment: whose fleets are scanned.
        policy: the environment's.
        now: UTC.
        busy: services that a run is changing, with what it is.
    """
    estate, ours = view.estate, fleets(view.estate, environment)
    rolling = {name: "an instance refresh is active" for name, fleet in ours.items() if fleet.refreshes_active} | {
        name: why for name, why in busy.items() if name in ours
    }
    revoked = revocation.marks({image.id: image.tags for image in estate.images})
    found = [*_files(services, ours, estate)]
    for name, fleet in sorted(ours.items()):
        if name not in rolling:
            found += _images(estate, fleet, revoked, repairable=name in services.valid)
            found += _base(view, fleet, services.valid.get(name), policy, now)
    found += posture.findings(
        estate, view.groups, ours, services.valid, environment=environment, drift=policy.drift, now=now
    )
    return Scan(
        findings=tuple(found),
        unseen=tuple(
            Unseen(name, kind, f"{ROLLING}: {why}")
            for name, why in sorted(rolling.items())
            for kind in (FindingKind.IMAGE, FindingKind.INFRASTRUCTURE)
        ),
        deployed=tuple(_deployed(estate, ours, [name for name in services.valid if name not in rolling])),
    )


def _deployed(estate: Estate, ours: Mapping[str, Fleet], names: Collection[str]) -> Iterator[Deployed]:
    for name in sorted(ours.keys() & set(names)):
        image = estate.images_by_id.get(_current(estate, name))
        if image is not None:
            yield Deployed(name, ours[name].group_name, image.id, image.tags.get(tags.VERSION, ""))


def _files(services: Services, ours: Mapping[str, Fleet], estate: Estate) -> Iterator[Finding]:
    """Yield service files without a fleet, fleets without a service file, and files that cannot be read."""
    for name, why in sorted(services.broken.items()):
        yield Finding(FindingKind.INFRASTRUCTURE, "service-file", name, f"config/services/{name}.yaml", found=why)
    for name, fleet in sorted(ours.items()):
        if name not in services.names:
            yield Finding(
                *(FindingKind.INFRASTRUCTURE, "no-service-file", name, fleet.group_name),
                found=f"{len(fleet.instance_ids)} instances",
                declared="nothing",
                note="it runs on, and nothing deploys, plans or removes it: restore its file, or destroy it by hand",
            )
    for name in sorted(services.names - ours.keys()):
        was_released = bool(_current(estate, name))
        yield Finding(
            *(FindingKind.INFRASTRUCTURE, "no-fleet", name, f"config/services/{name}.yaml"),
            found="no Auto Scaling group",
            declared="a fleet",
            note="it was released, and its fleet is gone: deploy it" if was_released else "it was never deployed",
        )


def _images(
    estate: Estate, fleet: Fleet, revoked: Mapping[str, revocation.Mark], *, repairable: bool
) -> Iterator[Finding]:
    name = fleet.service
    current = _current(estate, name)
    if not current:
        yield Finding(
            *(FindingKind.IMAGE, "no-release", name, fleet.group_name),
            found=estate.template_image(_own(fleet)) or "no image",
            declared="a current release",
            note="no deployment of this service has ever succeeded",
        )
        return
    image = estate.images_by_id.get(current)
    launchable = image is not None and image.state == "available"
    if not launchable:
        yield Finding(
            *(FindingKind.IMAGE, "current-image", name, current),
            found=image.state if image else "no such image",
            declared="available",
            note="the group cannot launch a replacement: deploy, or roll back to a release whose image is there",
        )
    repairable = repairable and launchable and current not in revoked
    own = _own(fleet)
    if own.version and not own.version.isdecimal():
        yield Finding(
            *(FindingKind.IMAGE, "template-not-numbered", name, fleet.group_name),
            found=own.version,
            declared="a numbered version",
            note="AWS rolls no refresh back to it",
            repairable=repairable,
        )
    for check, use in (("group-template", own), ("latest-template", TemplateUse(own.template_id, LATEST))):
        launched = estate.template_image(use)
        if launched != current:
            version = _number(estate, use)
            yield Finding(
                *(FindingKind.IMAGE, check, name, own.template_id or fleet.group_name),
                found=f"version {version}: {launched or 'no image'}",
                declared=current,
                repairable=repairable,
            )
    members = [estate.instances_by_id[one] for one in fleet.instance_ids if one in estate.instances_by_id]
    yield from (_instance_image(name, one, current, repairable=repairable) for one in members if one.ami_id != current)
    for ami_id in sorted({current, *(one.ami_id for one in members)} & revoked.keys()):
        yield Finding(
            *(FindingKind.IMAGE, "revoked", name, ami_id),
            found=revoked[ami_id].message_for(ami_id),
            declared="an image that may be released",
            note="deploy, or roll back to a release whose image is not revoked",
        )


def _base(view: View, fleet: Fleet, service: Service | None, policy: Policy, now: datetime) -> Iterator[Finding]:
    """Yield a base that is older than the policy allows."""
    image = view.estate.images_by_id.get(_current(view.estate, fleet.service))
    if image is None or service is None:
        return
    base_ami, promotions = image.tags.get(tags.BASE_AMI, ""), view.promotions.get(service.base, ())
    stands = standing(service.base, base_ami, promotions, now=now, grace_days=policy.outdated_after_days)
    if stands is not None and stands.outdated:
        yield Finding(
            *(FindingKind.IMAGE, "outdated-base", fleet.service, image.id),
            found=f"{base_ami}: {stands.text}",
            declared=stands.newest,
            note="deploy the version that runs, which bakes it on the new base",
        )


def _instance_image(name: str, instance: Instance, current: str, *, repairable: bool) -> Finding:
    stays = instance.lifecycle.startswith("Standby")
    return Finding(
        *(FindingKind.IMAGE, "instance-image", name, instance.id),
        found=instance.ami_id,
        declared=current,
        note="it is on standby, where a refresh leaves it alone" if stays else "",
        repairable=repairable and not stays,
    )


def _current(estate: Estate, service: str) -> str:
    return estate.channel(service_name(service), CURRENT) or ""


def _own(fleet: Fleet) -> TemplateUse:
    return TemplateUse(fleet.template_id, fleet.launch_template_version)


def _number(estate: Estate, use: TemplateUse) -> str:
    template = estate.templates_by_id.get(use.template_id)
    version = template.version(use.version) if template else None
    return str(version.number) if version else f"{use.version or '(none)'}, which is not there,"
