"""The bill of materials of an image's packages (CycloneDX), and what differs between those of two images."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from rebake.base.inspection import Facts, Package

_TYPES: Final = {"apt": "deb", "dnf": "rpm"}
"""Types of package URLs by package manager."""


def folder(family: str) -> str:
    """Return what the object keys of a family's bills begin with."""
    return f"sboms/{family}/"


def key(family: str, ami_id: str) -> str:
    """Return the object key of an image's bill of materials."""
    return f"{folder(family)}{ami_id}.cdx.json"


def diff_key(family: str, ami_id: str) -> str:
    """Return the object key of what differs from the base before."""
    return f"{folder(family)}{ami_id}.diff.json"


def bill(family: str, ami_id: str, created: datetime, package_manager: str, facts: Facts) -> str:
    """Return the bill of an image's packages, CycloneDX 1.6 in JSON; the same text for the same image.

    Args:
        family: the base family.
        ami_id: the image.
        created: when the image was made.
        package_manager: `apt` or `dnf`.
        facts: what an instance of the image reported.
    """
    image = Component(name=family, version=ami_id, type=ComponentType.OPERATING_SYSTEM, bom_ref=ami_id)
    components = [_component(package, package_manager, facts) for package in facts.packages]
    bom = Bom(
        components=components,
        serial_number=uuid5(NAMESPACE_URL, f"{family}/{ami_id}"),
        metadata=BomMetaData(component=image, timestamp=created),
    )
    bom.register_dependency(image, components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(package: Package, package_manager: str, facts: Facts) -> Component:
    purl = _purl(package, _TYPES[package_manager], facts)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
    )


def _purl(package: Package, kind: str, facts: Facts) -> PackageURL:
    qualifiers = {"arch": package.architecture, "distro": f"{facts.os_id}-{facts.os_version}".rstrip("-")}
    version = package.version
    if kind == "rpm" and ":" in version:
        qualifiers["epoch"], _, version = version.partition(":")
    return PackageURL(kind, facts.os_id, package.name, version, qualifiers)


def difference(ami_id: str, bill: str, previous_ami: str | None, previous_bill: str | None) -> dict[str, Any]:
    """Return what an image has that the one before had not, as plain data.

    `{"ami_id", "previous_ami", "compared", "added", "removed", "changed"}`, where the lists name packages with their
    versions; a package may be installed in several. Nothing is compared where the image before has no bill.
    """
    images: dict[str, Any] = {"ami_id": ami_id, "previous_ami": previous_ami, "compared": previous_bill is not None}
    if previous_bill is None:
        return images | {"added": [], "removed": [], "changed": []}
    now, before = _versions(bill), _versions(previous_bill)
    return images | {
        "added": [{"name": name, "versions": now[name]} for name in sorted(now.keys() - before.keys())],
        "removed": [{"name": name, "versions": before[name]} for name in sorted(before.keys() - now.keys())],
        "changed": [
            {"name": name, "from": before[name], "to": now[name]}
            for name in sorted(now.keys() & before.keys())
            if now[name] != before[name]
        ],
    }


def _versions(bill: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for component in json.loads(bill).get("components", []):
        found[component["name"]].append(component["version"])
    return {name: sorted(versions) for name, versions in found.items()}


def describe(difference: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a difference for a task's log."""
    if not difference["previous_ami"]:
        yield "there was no base before: nothing to compare with"
        return
    if not difference["compared"]:
        yield f"the base before, {difference['previous_ami']}, has no bill of materials: nothing to compare with"
        return
    counts = ", ".join(f"{len(difference[kind])} {kind}" for kind in ("added", "removed", "changed"))
    yield f"packages against {difference['previous_ami']}: {counts}"
    for kind, sign in (("added", "+"), ("removed", "-")):
        for package in difference[kind]:
            yield f"{sign} {package['name']} {', '.join(package['versions'])}"
    for package in difference["changed"]:
        yield f"  {package['name']} {', '.join(package['from'])} -> {', '.join(package['to'])}"
