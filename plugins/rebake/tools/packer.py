"""Bake an image with Packer: in a private folder, with proof that the image is this build's."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rebake import paths
from rebake.exceptions import ConfigError, ToolFailedError
from rebake.tools.process import Log
from rebake.tools.runner import PACKER, Runner
from rebake.tools.workspace import Workspace

GRACE: Final = 300.0
"""Seconds that Packer has to terminate its builder and delete its key pair and security group."""

PLUGINS_FILE: Final = "plugins.pkr.hcl"
FIRST_WITH_PLUGINS: Final = (1, 7, 0)

_ARTIFACT_ID: Final = re.compile(r"[a-z0-9-]+:(ami-[0-9a-f]+)")
_BUILDER_LINE: Final = re.compile(r"    [\w.-]+: (.*)")
"""What a program on the builder printed: indented, after the name of the build."""
_STEP_FAILED: Final = re.compile(r"step (\S+) failed with exit status \d+")
"""How packer/scripts/run-steps.sh reports which step failed; a line `==> STEP` begins each step."""
_SUMMARY_LINE: Final = re.compile(r"--> [\w.-]+: (?!AMIs were created)(.+)")

STEP_LINES: Final = 10
"""How many of a failed step's last lines an error shows."""

_SEEN: Final = {
    "key_pair": re.compile(r"Creating temporary keypair: (\S+)"),
    "security_group": re.compile(r"Creating temporary security group for this instance: (\S+)"),
}
"""What Packer prints when it makes resources without tags: before 1.7 its key pair and security group."""


def template_folders(template: str) -> dict[str, Path]:
    """Return the folders that a bake of `template` (`base` or `app`) reads, by role."""
    root = paths.home() / "packer"
    return {"template": root / template, "scripts": root / "scripts"}


def template_version(template: str) -> str:
    """Return the version of a template, which its file VERSION holds.

    Raises:
        ConfigError: there is no such template.
    """
    path = template_folders(template)["template"] / "VERSION"
    if not path.is_file():
        raise ConfigError(f"{path} does not exist: every Packer template has a VERSION")
    return path.read_text(encoding="utf-8").strip()


def resource_in(line: str) -> tuple[str, str] | None:
    """Return kind and name of the resource that Packer made according to `line`; none if the line reports none."""
    for kind, pattern in _SEEN.items():
        if match := pattern.search(line):
            return kind, match[1]
    return None


class Packer(Runner):
    """Builds one image. The other arguments are those of `Runner`.

    Args:
        poll_seconds: seconds between two of Packer's polls of AWS.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        environment: Mapping[str, str],
        log: Log,
        poll_seconds: float,
        secrets: tuple[str, ...] = (),
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        delay = max(1, round(poll_seconds))
        polling = {
            "AWS_POLL_DELAY_SECONDS": str(delay),
            "AWS_MAX_ATTEMPTS": str(max(40, 1800 // delay)),  # half an hour: an image of a large volume takes long
            "PACKER_CACHE_DIR": str(workspace.path / "cache"),
        }
        super().__init__(
            PACKER,
            workspace,
            environment={**environment, **polling},
            log=log,
            grace=GRACE,
            secrets=secrets,
            on_line=on_line,
        )

    def build(self, template: str, variables: Mapping[str, Any]) -> str:
        """Build `template` and return the AMI id.

        Args:
            template: folder below `packer/`.
            variables: the template's variables; `manifest_path` is added.

        Raises:
            ToolFailedError: Packer failed, or reported success without an image.
        """
        for folder in (template_folders(template)["template"], template_folders(template)["scripts"]):
            shutil.copytree(folder, self.folder / folder.name)
        if self.found.version < FIRST_WITH_PLUGINS:
            (self.folder / template / PLUGINS_FILE).unlink(missing_ok=True)
        else:
            self.run("init", str(self.folder / template))
        manifest = self.folder / "manifest.json"
        values = self.folder / "variables.pkrvars.json"
        values.touch(mode=0o600)
        values.write_text(json.dumps({**variables, "manifest_path": str(manifest)}, indent=2), encoding="utf-8")
        self.run("build", "-color=false", f"-var-file={values}", str(self.folder / template))
        return ami_of_manifest(manifest)

    def explain(self, output: str) -> str:
        """Return what failed: the step and what it printed, or the error of the build."""
        return reason_in(output) or super().explain(output)


def reason_in(output: str) -> str:
    """Return why a build failed, from its output; empty where it has no known form.

    A provisioning step that fails is reported with its last lines, because Packer's own summary knows only that some
    script had an exit status.
    """
    lines = [match[1] for line in output.splitlines() if (match := _BUILDER_LINE.match(line))]
    for index, line in enumerate(lines):
        if step := _STEP_FAILED.fullmatch(line):
            begin = max((at for at, text in enumerate(lines[:index]) if text == f"==> {step[1]}"), default=-1) + 1
            printed = lines[begin:index][-STEP_LINES:]
            return "\n  ".join([line, *printed])
    summary = [match[1] for line in output.splitlines() if (match := _SUMMARY_LINE.match(line))]
    return "; ".join(dict.fromkeys(summary))


def ami_of_manifest(path: Path) -> str:
    """Return the AMI id that the manifest of a build proves.

    Packer's exit status proves nothing: it is 0 when `-only` matches no build, and a manifest may hold an entry
    without an image. So there must be an entry of the last run, and it must name one image.

    Raises:
        ToolFailedError: the manifest is missing or proves no image.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        last_run = manifest["last_run_uuid"]
        ids = [build["artifact_id"] for build in manifest["builds"] if build["packer_run_uuid"] == last_run]
    except FileNotFoundError:
        raise ToolFailedError(
            f"Packer ended without a failure but wrote no manifest ({path.name}): it built nothing"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ToolFailedError(f"Packer's manifest is not readable: {error!r}") from error
    match = _ARTIFACT_ID.fullmatch(str(ids[0])) if len(ids) == 1 else None
    if not last_run or match is None:
        raise ToolFailedError(
            f"Packer's manifest must name exactly one image of this run, like `eu-west-1:ami-…`; found {ids}"
        )
    return match[1]
