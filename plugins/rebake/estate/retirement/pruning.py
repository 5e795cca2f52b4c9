"""Launch template versions that nothing uses: every rollout leaves one, and a template holds 10,000."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from rebake import tags
from rebake.estate.inventory import Estate, Template


@dataclass(frozen=True)
class Pruning:
    """What of one template can go.

    Attributes:
        template: the launch template.
        numbers: versions that nothing uses, ascending.
        kept: why the others stay, by their numbers.
    """

    template: Template
    numbers: tuple[int, ...]
    kept: dict[int, str]


def prunings(estate: Estate, environment: str, keep: int) -> Iterator[Pruning]:
    """Yield, for each template of the environment's fleets, the versions that nothing uses.

    Args:
        estate: all there is.
        environment: whose templates.
        keep: how many of the newest versions stay in any case.
    """
    groups, instances, unclear = _group_uses(estate), _instance_uses(estate), _unclear(estate)
    for template in estate.templates:
        ours = (template.tags.get(tags.KIND), template.tags.get(tags.ENVIRONMENT)) == (tags.KIND_FLEET, environment)
        if not ours:
            continue
        kept = {version.number: f"one of the newest {keep}" for version in template.versions[:keep]}
        kept |= {version.number: "$Default" for version in template.versions if version.is_default}
        if template.latest:
            kept[template.latest.number] = "$Latest"
        kept |= groups.get(template.id, {})
        kept |= instances.get(template.id, {})
        rest = [version.number for version in template.versions if version.number not in kept]
        # Only known numbers are compared: an instance of the template whose version is unknown keeps all.
        numbers = () if template.id in unclear else tuple(sorted(rest))
        yield Pruning(template, numbers, kept)


def _group_uses(estate: Estate) -> dict[str, dict[int, str]]:
    uses: dict[str, dict[int, str]] = defaultdict(dict)
    for fleet in estate.fleets:
        for use in fleet.templates:
            template = estate.templates_by_id.get(use.template_id)
            version = template.version(use.version) if template else None
            if version:
                refreshed = use in fleet.refreshes_active
                what = f"an instance refresh of group {fleet.group_name}" if refreshed else f"group {fleet.group_name}"
                uses[use.template_id].setdefault(version.number, what)
    return uses


def _instance_uses(estate: Estate) -> dict[str, dict[int, str]]:
    uses: dict[str, dict[int, str]] = defaultdict(dict)
    for instance in estate.instances:
        if instance.launch_template_version.isdigit():
            uses[instance.launch_template_id][int(instance.launch_template_version)] = f"instance {instance.id}"
    return uses


def _unclear(estate: Estate) -> set[str]:
    """Return the templates with an instance whose launch template version is unknown."""
    by_group = {fleet.group_name: fleet.template_id for fleet in estate.fleets}
    return {
        instance.launch_template_id or by_group.get(instance.group_name or "", "")
        for instance in estate.instances
        if not instance.launch_template_version.isdigit()
    }
