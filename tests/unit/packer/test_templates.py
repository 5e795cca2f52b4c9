"""The Packer templates, judged by Packer itself, and the rules that keep them and their scripts one piece."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PACKER = Path(__file__).resolve().parents[3] / "packer"
SCRIPTS = PACKER / "scripts"
LIBRARIES = {"packages", "versions", "run-steps"}
TEMPLATES = ("base", "app")

COMMON: dict[str, Any] = {
    "region": "eu-west-1",
    "endpoint_url": "http://127.0.0.1:4566",
    "source_ami": "ami-0123456789abcdef0",
    "ami_name": "webapp-1.2.3",
    "instance_type": "t3.micro",
    "ssh_username": "admin",
    "ssh_interface": "private_ip",
    "vpc_id": "",
    "subnet_id": "",
    "pipeline_cidrs": ["10.64.0.0/24"],
    "instance_profile": "",
    "package_manager": "apt",
    "manifest_path": "manifest.json",
    "image_tags": {"rebake:kind": "app-image"},
    "run_tags": {"rebake:kind": "builder"},
}
OWN: dict[str, dict[str, Any]] = {
    "base": {"install_agents": False},
    "app": {"service": "webapp", "version": "1.2.3", "artifact_path": "webapp.tar.gz", "artifact_sha256": "0" * 64},
}


@pytest.fixture(scope="session")
def packer_version() -> tuple[int, ...]:
    said = subprocess.run(["packer", "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", said)
    assert found, said
    return tuple(int(part) for part in found.groups())


@pytest.fixture
def work(tmp_path: Path, packer_version: tuple[int, ...]) -> Path:
    """A private copy, as the pipeline makes it for each run."""
    folders = tmp_path / "packer"
    shutil.copytree(PACKER, folders)
    for template in TEMPLATES:
        if packer_version < (1, 7, 0):
            (folders / template / "plugins.pkr.hcl").unlink()
        else:
            subprocess.run(["packer", "init", str(folders / template)], check=True, env=environment())
    (folders / "webapp.tar.gz").write_bytes(b"")
    return folders


def environment() -> dict[str, str]:
    return {**os.environ, "CHECKPOINT_DISABLE": "1"}


def validate(work: Path, template: str, **changes: Any) -> tuple[int, str]:
    """Let Packer judge the template with the sample variables; return the exit status and what it said in one line."""
    variables = work / "variables.pkrvars.json"
    variables.write_text(json.dumps({**COMMON, **OWN[template], **changes}), encoding="utf-8")
    result = subprocess.run(
        ["packer", "validate", f"-var-file={variables}", str(work / template)],
        cwd=work,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, " ".join((result.stdout + result.stderr).split())


def variables_of(template: str) -> dict[str, str]:
    """Return the text of each variable block of the template, by name."""
    text = "".join(file.read_text(encoding="utf-8") for file in (PACKER / template).glob("*.pkr.hcl"))
    return {block[1]: block[0] for block in re.finditer(r'^variable "(\w+)" \{.*?^\}', text, re.MULTILINE | re.DOTALL)}


def steps_of(template: str) -> list[str]:
    """Return the steps that the template runs, in order."""
    text = (PACKER / template / f"{template}.pkr.hcl").read_text(encoding="utf-8")
    listed = re.search(r'"bash /tmp/scripts/run-steps\.sh",(.*?)\]', text, re.DOTALL)
    assert listed
    return re.findall(r'"([a-z/-]+)"', listed[1])


@pytest.mark.parametrize("template", TEMPLATES)
def test_packer_accepts_the_template_for_the_embedded_cloud(work: Path, template: str) -> None:
    status, said = validate(work, template)

    assert status == 0, said


@pytest.mark.parametrize("template", TEMPLATES)
def test_packer_accepts_the_template_for_aws_through_session_manager(work: Path, template: str) -> None:
    status, said = validate(
        work,
        template,
        endpoint_url="",
        ssh_interface="session_manager",
        instance_profile="rebake-builder",
        vpc_id="vpc-0123456789abcdef0",
        subnet_id="subnet-0123456789abcdef0",
    )

    assert status == 0, said


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source_ami": "debian-12"}, "The variable source_ami must be an image id"),
        ({"source_ami": ""}, "The variable source_ami must be an image id"),
        ({"ssh_interface": "public_ip"}, "The variable ssh_interface must be private_ip or session_manager."),
        ({"pipeline_cidrs": ["0.0.0.0/0"]}, "The variable pipeline_cidrs must name at least one network"),
        ({"pipeline_cidrs": []}, "The variable pipeline_cidrs must name at least one network"),
        ({"package_manager": "yum"}, "The variable package_manager must be apt or dnf."),
        ({"ssh_interface": "session_manager"}, "iam_instance_profile"),
    ],
)
def test_packer_refuses_a_bad_value_and_names_the_variable(
    work: Path, template: str, changes: dict[str, Any], message: str
) -> None:
    status, said = validate(work, template, **changes)

    assert status == 1
    assert message in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"service": "Web App"}, "The variable service must be a name"),
        ({"service": ""}, "The variable service must be a name"),
        ({"artifact_sha256": "0" * 63}, "The variable artifact_sha256 must be 64 hexadecimal digits."),
        ({"artifact_sha256": "g" * 64}, "The variable artifact_sha256 must be 64 hexadecimal digits."),
        ({"artifact_path": "missing.tar.gz"}, "missing.tar.gz"),
    ],
)
def test_packer_refuses_a_bad_application_and_names_what_is_wrong(
    work: Path, changes: dict[str, Any], message: str
) -> None:
    status, said = validate(work, "app", **changes)

    assert status == 1
    assert message in said


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_templates_ask_for_the_agreed_variables(template: str) -> None:
    assert set(variables_of(template)) == {*COMMON, *OWN[template]}


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_step_is_a_script_and_the_check_of_the_clean_up_comes_last(template: str) -> None:
    steps = steps_of(template)

    assert [step for step in steps if not (SCRIPTS / f"{step}.sh").is_file()] == []
    assert steps[-2:] == ["cleanup", "assert-clean"]


def test_every_script_is_a_step_of_a_template_or_loaded_by_them() -> None:
    used = {step for template in TEMPLATES for step in steps_of(template)} | LIBRARIES

    assert {str(path.relative_to(SCRIPTS).with_suffix("")) for path in SCRIPTS.rglob("*.sh")} == used


def test_every_hardening_step_has_a_check_that_the_bake_runs_after_all_of_them() -> None:
    steps = steps_of("base")
    hardening = [step for step in steps if step.startswith("harden-")]

    assert hardening
    assert steps[-2 - len(hardening) : -2] == [f"checks/{step}" for step in hardening]


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_plugin_pin_is_in_a_file_of_its_own(template: str) -> None:
    others = [path for path in (PACKER / template).glob("*.pkr.hcl") if path.name != "plugins.pkr.hcl"]

    assert 'version = "~> 1.3.0"' in (PACKER / template / "plugins.pkr.hcl").read_text(encoding="utf-8")
    assert [path for path in others if "required_plugins" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_template_has_a_version(template: str) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", (PACKER / template / "VERSION").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(f"{path.parent.name}/{path.name}" for path in PACKER.glob("*/*.pkr.hcl")))
def test_the_file_is_formatted_as_packer_formats(name: str) -> None:
    command = ["packer", "fmt", "-check", "-diff", str(PACKER / name)]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout
