"""Bills of materials of images, held against the standard's own schema, and their differences."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from rebake.base import sbom
from rebake.base.inspection import Facts, Package

CREATED = datetime(2026, 10, 1, 3, 0, tzinfo=UTC)
DEBIAN = Facts("debian", "12", [Package("curl", "7.88.1-10", "amd64"), Package("vim", "2:9.0.1378-2", "amd64")])
AMAZON = Facts("amzn", "2023", [Package("vim-minimal", "2:9.1.083-1.amzn2023", "x86_64")])


def _bill(facts: Facts, manager: str = "apt", ami_id: str = "ami-1") -> str:
    return sbom.bill("debian-12", ami_id, CREATED, manager, facts)


def _packages(**versions: str) -> str:
    packages = [Package(name, version, "amd64") for name, version in versions.items()]
    return _bill(Facts("debian", "12", packages))


@pytest.mark.parametrize(("facts", "manager"), [(DEBIAN, "apt"), (AMAZON, "dnf"), (Facts("debian", "12"), "apt")])
def test_a_bill_follows_the_schema_of_cyclonedx(facts: Facts, manager: str) -> None:
    bill = _bill(facts, manager)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    assert json.loads(bill)["specVersion"] == "1.6"


@pytest.mark.parametrize(
    ("facts", "manager", "purls"),
    [
        (
            DEBIAN,
            "apt",
            [
                "pkg:deb/debian/curl@7.88.1-10?arch=amd64&distro=debian-12",
                "pkg:deb/debian/vim@2:9.0.1378-2?arch=amd64&distro=debian-12",
            ],
        ),
        (AMAZON, "dnf", ["pkg:rpm/amzn/vim-minimal@9.1.083-1.amzn2023?arch=x86_64&distro=amzn-2023&epoch=2"]),
    ],
)
def test_every_package_has_the_url_that_scanners_look_it_up_by(facts: Facts, manager: str, purls: list[str]) -> None:
    found = [component["purl"].replace("%3A", ":") for component in json.loads(_bill(facts, manager))["components"]]

    assert found == purls


def test_a_bill_names_its_image_and_is_the_same_each_time() -> None:
    bill = json.loads(_bill(DEBIAN))

    assert bill["metadata"]["component"]["version"] == "ami-1"
    assert bill["metadata"]["timestamp"] == "2026-10-01T03:00:00+00:00"
    assert _bill(DEBIAN) == _bill(DEBIAN)
    assert json.loads(_bill(DEBIAN, ami_id="ami-2"))["serialNumber"] != bill["serialNumber"]


def test_a_difference_names_what_was_added_removed_and_changed_with_the_versions() -> None:
    before, now = _packages(curl="1", nano="5", vim="9"), _packages(curl="2", nano="5", zsh="5.9")

    difference = sbom.difference("ami-2", now, "ami-1", before)

    assert difference == {
        "ami_id": "ami-2",
        "previous_ami": "ami-1",
        "compared": True,
        "added": [{"name": "zsh", "versions": ["5.9"]}],
        "removed": [{"name": "vim", "versions": ["9"]}],
        "changed": [{"name": "curl", "from": ["1"], "to": ["2"]}],
    }
    assert list(sbom.describe(difference)) == [
        "packages against ami-1: 1 added, 1 removed, 1 changed",
        "+ zsh 5.9",
        "- vim 9",
        "  curl 1 -> 2",
    ]


def test_a_package_may_be_there_in_several_versions() -> None:
    kernels = [Package("kernel", "6.1.2", "x86_64"), Package("kernel", "6.1.1", "x86_64")]
    before, now = _bill(Facts("amzn", "2023", kernels[1:]), "dnf"), _bill(Facts("amzn", "2023", kernels), "dnf")

    assert sbom.difference("ami-2", now, "ami-1", before)["changed"] == [
        {"name": "kernel", "from": ["6.1.1"], "to": ["6.1.1", "6.1.2"]}
    ]


@pytest.mark.parametrize(
    ("previous", "said"),
    [(None, "there was no base before"), ("ami-1", "the base before, ami-1, has no bill of materials")],
)
def test_without_a_bill_before_nothing_is_compared_and_it_says_so(previous: str | None, said: str) -> None:
    difference: dict[str, Any] = sbom.difference("ami-2", _packages(curl="2"), previous, None)

    assert (difference["compared"], difference["added"]) == (False, [])
    (line,) = sbom.describe(difference)
    assert line == f"{said}: nothing to compare with"
