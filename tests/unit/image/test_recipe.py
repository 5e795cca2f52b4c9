import dataclasses
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rebake import tags
from rebake.config import Network, load_base, load_environment
from rebake.image import recipe
from rebake.image.artifact import Artifact
from rebake.image.recipe import Recipe

NOW = datetime(2026, 11, 23, 9, 8, 7, tzinfo=UTC)


@pytest.fixture
def app() -> Recipe:
    return Recipe(
        template=recipe.APP,
        subject="webapp",
        base=load_base("debian-12"),
        base_ami="ami-0b",
        version="1.2.3",
        commit="abc1234",
        build_id="77",
        artifact=Artifact(Path("/work/webapp-1.2.3.tar.gz"), "build/webapp-1.2.3.tar.gz", "a" * 64),
    )


@pytest.fixture
def base() -> Recipe:
    return Recipe(
        template=recipe.BASE, subject="debian-12", base=load_base("debian-12"), base_ami="ami-0v", install_agents=True
    )


def _variables(what: Recipe) -> dict[str, Any]:
    network = Network(vpc_id="vpc-1", subnet_ids=("subnet-1", "subnet-2"))
    return dict(what.variables(load_environment("local"), network, "http://cloud", "deploy_webapp/run", NOW))


@pytest.mark.parametrize("kind", ["app", "base"])
def test_a_template_gets_exactly_its_variables(kind: str, request: pytest.FixtureRequest, project: Path) -> None:
    files = sorted((project / "packer" / kind).glob("*.pkr.hcl"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    declared = re.findall(r'^variable "(\w+)"', text, re.MULTILINE)

    assert {*_variables(request.getfixturevalue(kind)), "manifest_path"} == set(declared)


def test_the_image_carries_where_it_comes_from(app: Recipe) -> None:
    assert _variables(app)["image_tags"] == {
        "Name": app.image_name(NOW),
        tags.KIND: tags.KIND_APP_IMAGE,
        tags.SERVICE: "webapp",
        tags.ENVIRONMENT: "local",
        tags.VERSION: "1.2.3",
        tags.COMMIT: "abc1234",
        tags.BUILD_ID: "77",
        tags.TEMPLATE_VERSION: app.template_version,
        tags.FINGERPRINT: app.fingerprint,
        tags.BASE_AMI: "ami-0b",
        tags.DAG_RUN: "deploy_webapp/run",
    }


def test_what_is_not_known_is_no_tag(base: Recipe) -> None:
    given = _variables(base)["image_tags"]

    assert tags.COMMIT not in given
    assert tags.BUILD_ID not in given
    assert given[tags.KIND] == tags.KIND_BASE_IMAGE
    assert given[tags.VERSION] == base.template_version


def test_the_builder_carries_the_run_that_must_remove_it(app: Recipe) -> None:
    given = _variables(app)["run_tags"]

    assert given[tags.KIND] == tags.KIND_BUILDER
    assert given[tags.ENVIRONMENT] == "local"
    assert given[tags.DAG_RUN] == "deploy_webapp/run"


def test_the_name_has_service_version_inputs_and_time(app: Recipe) -> None:
    assert app.image_name(NOW) == f"rebake-webapp-1.2.3-{app.fingerprint[:12]}-20261123090807"
    assert app.image_name(NOW).startswith(app.name_prefix)


def test_the_name_is_one_that_aws_accepts_whatever_the_version_looks_like(app: Recipe) -> None:
    odd = dataclasses.replace(app, version="1.2.3+build:" + "9" * 200)

    assert re.fullmatch(r"[A-Za-z0-9().\-/_]{3,128}", odd.image_name(NOW))


@pytest.mark.parametrize(
    ("field", "value", "counts"),
    [
        ("version", "1.2.4", True),
        ("base_ami", "ami-0c", True),
        ("subject", "shop", True),
        ("artifact", Artifact(Path("/work/x.tar.gz"), "x", "b" * 64), True),
        ("artifact", Artifact(Path("/elsewhere/x.tar.gz"), "s3://x", "a" * 64), False),
        ("commit", "def5678", False),
        ("build_id", "78", False),
    ],
)
def test_what_is_in_the_image_counts_for_the_fingerprint_and_where_it_comes_from_does_not(
    app: Recipe, field: str, value: Any, counts: bool
) -> None:
    changed = dataclasses.replace(app, **{field: value})

    assert (changed.fingerprint != app.fingerprint) == counts


def test_agents_or_none_are_different_base_images(base: Recipe) -> None:
    assert dataclasses.replace(base, install_agents=False).fingerprint != base.fingerprint
