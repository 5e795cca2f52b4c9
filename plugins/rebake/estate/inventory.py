"""What AWS has, as far as the upkeep of images and fleets needs it: facts only, nothing decided.

Everything of the account and region is in here, and not only what is ours: an instance that somebody else launched
keeps our image in use as well. Ours is what has the tag `rebake:kind`, an environment's what has its name in
`rebake:environment`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

from rebake import tags
from rebake.image import channels

Tags = Mapping[str, str]

GONE: Final = "terminated"
"""State of an instance that no longer exists, and is still shown for an hour."""

LATEST: Final = "$Latest"
DEFAULT: Final = "$Default"


@dataclass(frozen=True)
class Image:
    """One image, as DescribeImages shows it."""

    id: str
    name: str
    state: str
    created: str
    """UTC, in ISO 8601, so that the text sorts as the time does."""
    tags: Tags
    snapshots: tuple[str, ...]
    owner: str = ""
    """Account that it belongs to."""
    deprecated_at: datetime | None = None
    """From when it is deprecated; may lie in the future."""
    public: bool = False
    copied_from: str = ""
    """Image that it is a copy of (CopyImage), where AWS records it; not the one that it was baked on."""
    locked: bool = False
    """Whether AWS refuses to deregister it (deregistration protection)."""
    imds_support: str = ""
    """`v2.0` where its instances demand IMDSv2 unless a launch says otherwise."""

    @property
    def is_finished(self) -> bool:
        """Whether it has the tags of an image that Rebake finished."""
        return self.tags.get(tags.KIND) in tags.IMAGE_KINDS

    @property
    def created_at(self) -> datetime:
        """When it was made.

        Raises:
            ValueError: AWS did not record it.
        """
        return datetime.fromisoformat(self.created)


@dataclass(frozen=True)
class Instance:
    """One instance in any state but terminated, as DescribeInstances shows it."""

    id: str
    ami_id: str
    state: str
    launched: datetime
    tags: Tags = field(default_factory=dict)
    group_name: str | None = None
    """Auto Scaling group that it belongs to."""
    lifecycle: str = ""
    """State in its group, such as `InService` or `Standby`; empty without a group."""
    launch_template_id: str = ""
    launch_template_version: str = ""
    """Number of the version that it was launched from; empty if it was from none."""
    key_name: str = ""
    public_ip: str = ""
    http_tokens: str = ""
    """`required` where only IMDSv2 is answered, else `optional`."""
    security_group_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class TemplateVersion:
    """One numbered version of a launch template."""

    number: int
    ami_id: str
    """Empty if it names none; as it is written, so perhaps `resolve:ssm:…`."""
    is_default: bool
    created: datetime


@dataclass(frozen=True)
class Template:
    """A launch template with its versions, newest first.

    Of a template of ours all versions are known; of another one `$Latest` and `$Default` only.
    """

    id: str
    name: str
    tags: Tags
    versions: tuple[TemplateVersion, ...]

    @property
    def latest(self) -> TemplateVersion | None:
        """What `$Latest` stands for."""
        return max(self.versions, key=lambda version: version.number, default=None)

    @property
    def default(self) -> TemplateVersion | None:
        """What `$Default` stands for."""
        return next((version for version in self.versions if version.is_default), None)

    def version(self, named: str) -> TemplateVersion | None:
        """Return the version of a number, or what `$Latest` or `$Default` stand for; none if it is not known."""
        if named == LATEST:
            return self.latest
        if named in (DEFAULT, ""):  # AWS takes the default where none is named
            return self.default
        return next((version for version in self.versions if str(version.number) == named), None)


@dataclass(frozen=True)
class TemplateUse:
    """A launch template and the version of it that something names: a number, `$Latest` or `$Default`."""

    template_id: str
    version: str


@dataclass(frozen=True)
class Fleet:
    """One Auto Scaling group with what it launches, as DescribeAutoScalingGroups shows it."""

    group_name: str
    service: str
    """Empty if the group is not one of ours."""
    template_id: str
    launch_template_version: str
    """The group's own, as it stands; both empty where a group has no launch template of its own."""
    tags: Tags
    desired: int
    instance_ids: tuple[str, ...]
    """Its instances but those on their way out."""
    other_templates: tuple[TemplateUse, ...] = ()
    """What a mixed instances policy names besides."""
    refreshes_active: tuple[TemplateUse, ...] = ()
    """Versions that an active instance refresh goes to; it would return to the group's own."""

    @property
    def environment(self) -> str:
        """The environment that it belongs to; empty if it is not one of ours."""
        return self.tags.get(tags.ENVIRONMENT, "")

    @property
    def templates(self) -> tuple[TemplateUse, ...]:
        """Every launch template version that it launches from, or may."""
        own = (TemplateUse(self.template_id, self.launch_template_version),) if self.template_id else ()
        return own + self.other_templates + self.refreshes_active


@dataclass(frozen=True)
class Channel:
    """A channel of the registry of images."""

    name: str
    """Such as `/rebake/webapp` or `/rebake/bases/debian-12`."""
    channel: str
    ami_id: str

    @property
    def service(self) -> str:
        """Whose channel it is; empty if it is a base family's."""
        return channels.service_of(self.name)

    @property
    def family(self) -> str:
        """The base family whose channel it is; empty if it is a service's."""
        return channels.family_of(self.name)


@dataclass(frozen=True)
class Estate:
    """All of it."""

    images: tuple[Image, ...]
    """Those of the account, also deprecated and disabled ones."""
    instances: tuple[Instance, ...]
    templates: tuple[Template, ...]
    fleets: tuple[Fleet, ...]
    channels: tuple[Channel, ...]

    @cached_property
    def images_by_id(self) -> Mapping[str, Image]:
        """Images by their ids."""
        return {image.id: image for image in self.images}

    @cached_property
    def instances_by_id(self) -> Mapping[str, Instance]:
        """Instances by their ids."""
        return {instance.id: instance for instance in self.instances}

    @cached_property
    def templates_by_id(self) -> Mapping[str, Template]:
        """Launch templates by their ids."""
        return {template.id: template for template in self.templates}

    @property
    def our_fleets(self) -> tuple[Fleet, ...]:
        """The groups that Rebake's Terraform made, of any environment."""
        return tuple(fleet for fleet in self.fleets if fleet.tags.get(tags.KIND) == tags.KIND_FLEET)

    def channel(self, name: str, channel: str) -> str | None:
        """Return the image that a channel points at; none if it was never set."""
        found = (one.ami_id for one in self.channels if (one.name, one.channel) == (name, channel))
        return next(found, None)

    def template_image(self, use: TemplateUse) -> str:
        """Return the image of a template's version; empty if the template or the version is not known."""
        template = self.templates_by_id.get(use.template_id)
        version = template.version(use.version) if template else None
        return version.ami_id if version else ""
