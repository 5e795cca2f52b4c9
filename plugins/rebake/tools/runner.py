"""Packer and Terraform as programs: where they are, whether they are recent enough, which variables they inherit."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from rebake.aws_errors import SERVER_ERRORS, TRANSIENT_CODES
from rebake.exceptions import (
    CloudUnreachableError,
    ToolFailedError,
    ToolKilledError,
    ToolMissingError,
    ToolStoppedError,
)
from rebake.tools.process import Log, ProcessResult, Program, Silence
from rebake.tools.workspace import Workspace

Version = tuple[int, ...]

INHERITED: Final = frozenset({
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "USER",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "AWS_CA_BUNDLE",
    "PACKER_CONFIG", "PACKER_PLUGIN_PATH",
    "TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR", "TF_LOG",
})  # fmt: skip
"""What a tool inherits from the worker. The rest, Airflow's own settings and secrets above all, it does not see."""

KEPT_LINES: Final = 500
"""How many of the last lines of output are searched for the reason of a failure."""

SHOWN_LINES: Final = 30
"""How many of them an error shows."""

_UNREACHED: Final = re.compile(r"RequestError: send request failed|request send failed", re.IGNORECASE)
"""What AWS's libraries for Go print, versions 1 and 2, when nothing answered at all."""

_REFUSED_FOR_NOW: Final = re.compile(
    rf"(?<![\w.])(?:{'|'.join(sorted((TRANSIENT_CODES | SERVER_ERRORS) - {'LimitExceededException'}))}): "
)
"""What they print when AWS throttled, or failed itself, more often than they retry.

Behind a dot it is another text: `Client.InternalError` is why an instance did not start, and a program on the builder
may print exceptions of its own. `LimitExceededException` is a quota of several services too.
"""

_STATE_KEPT_HERE: Final = "errored.tfstate"
"""What Terraform names when it could not save the state: another apply would begin from the old one."""

_PLUGIN_LOST: Final = re.compile(r"Plugin did not respond|errored[^:\n]*: unexpected EOF$", re.MULTILINE)
_PLUGIN_CRASHED: Final = "plugin crashed!"
"""What Terraform and Packer print when a plugin ended in the middle of a call, and Terraform besides after a panic."""

_SIGNALLED: Final = 128
"""Exit statuses above are 128 + n where signal n ended the program; the tools' own are 0, 1 and 2."""

_VERSION_NUMBER: Final = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Tool:
    """A program that a stage needs."""

    title: str
    override: str
    """The environment variable that may name the program."""
    names: tuple[str, ...]
    """Looked for on PATH, in this order."""
    minimum: Version
    why: str
    """What the oldest accepted version is needed for."""
    install: str
    """How to get it, as the end of a sentence."""


@dataclass(frozen=True)
class Found:
    """A tool on this worker."""

    tool: Tool
    path: str
    version: Version


PACKER: Final = Tool(
    title="Packer",
    override="REBAKE_PACKER",
    names=("packer",),
    minimum=(1, 6, 6),
    why="HCL2 templates",
    install="install Debian's package `packer`, or take it from https://developer.hashicorp.com/packer/install",
)

TERRAFORM: Final = Tool(
    title="Terraform",
    override="REBAKE_TERRAFORM",
    names=("terraform", "tofu"),
    minimum=(1, 10, 0),
    why="state locks in S3 itself",
    install="take it from https://developer.hashicorp.com/terraform/install, or OpenTofu from https://opentofu.org",
)


def find(tool: Tool, environment: Mapping[str, str] | None = None) -> Found:
    """Return where `tool` is on this worker, and its version.

    Args:
        tool: what is looked for.
        environment: where PATH and the override are read; by default this process's environment.

    Raises:
        ToolMissingError: it is not there, does not run, or is too old; the message has the remedy.
    """
    settings = os.environ if environment is None else environment
    search = settings.get("PATH", os.defpath)
    override = settings.get(tool.override, "")
    path = next(
        filter(None, (shutil.which(name, path=search) for name in ([override] if override else tool.names))), None
    )
    if path is None:
        where = f"${tool.override} is {override!r}, which is no program" if override else f"not on PATH ({search})"
        wanted = " or ".join(f"`{name}`" for name in tool.names)
        raise ToolMissingError(
            f"{tool.title} ({wanted}) is missing on this worker: {where}. "
            f"To have it, {tool.install}; or name the program in ${tool.override}"
        )
    version = _version(tool, path, settings)
    if version < tool.minimum:
        raise ToolMissingError(
            f"{tool.title} {_dotted(version)} ({path}) is too old: {_dotted(tool.minimum)} or later is needed for "
            f"{tool.why}. To have it, {tool.install}; or name a newer program in ${tool.override}"
        )
    return Found(tool, path, version)


def _version(tool: Tool, path: str, settings: Mapping[str, str]) -> Version:
    try:
        answer = subprocess.run(
            [path, "version"],
            env={**inherited(settings), "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissingError(f"{tool.title} ({path}) does not run: {error}. To have it, {tool.install}") from error
    number = _VERSION_NUMBER.search(answer.stdout)
    if number is None:
        printed = (answer.stdout + answer.stderr).strip()[-500:] or "nothing"
        raise ToolMissingError(
            f"`{path} version` does not print the version of {tool.title}; it printed: {printed}. "
            f"To have it, {tool.install}"
        )
    return tuple(int(part) for part in number.groups())


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def inherited(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the part of the worker's environment that a tool may see."""
    settings = os.environ if environment is None else environment
    return {name: value for name, value in settings.items() if name in INHERITED}


def _killed(result: ProcessResult) -> str:
    """Return what killed the program, as a phrase; empty if nothing did."""
    if result.status < 0:
        return f"lost its guardian to {_signal_name(-result.status)}"
    if result.status > _SIGNALLED:
        return f"was killed by {_signal_name(result.status - _SIGNALLED)}"
    if _PLUGIN_LOST.search(result.output) and _PLUGIN_CRASHED not in result.output:
        return "failed because a plugin of it ended"
    return ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Runner:
    """Runs one tool in one workspace, a command at a time, and can be stopped from a signal handler.

    Args:
        tool: what runs.
        workspace: where.
        environment: variables beyond the inherited ones, credentials among them.
        log: gets the output, line by line.
        grace: seconds that the tool has to clean up when it is stopped.
        secrets: texts that must not be shown.
        on_line: is called with each line of output.
    """

    def __init__(
        self,
        tool: Tool,
        workspace: Workspace,
        *,
        environment: Mapping[str, str],
        log: Log,
        grace: float,
        secrets: Iterable[str] = (),
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self._tool = tool
        self.folder = workspace.path
        self._lock = workspace.lock
        self._environment = {**inherited(), "CHECKPOINT_DISABLE": "1", **environment}
        self._log = log
        self._grace = grace
        self._secrets = tuple(secrets)
        self._on_line = on_line
        self._program: Program | None = None
        self._stopped = False

    @cached_property
    def found(self) -> Found:
        """The program and its version.

        Raises:
            ToolMissingError: it is not on this worker, or too old.
        """
        return find(self._tool)

    def run(self, *arguments: str, quiet: bool = False, accept: Sequence[int] = (0,)) -> ProcessResult:
        """Run the tool with `arguments` in the workspace.

        Args:
            arguments: the command line after the program.
            quiet: keep the output out of the log.
            accept: exit statuses that are no failure.

        Raises:
            ToolMissingError: it is not on this worker.
            ToolFailedError: it failed; the message has the reason.
            CloudUnreachableError: AWS did not answer, throttled, or failed itself; another try may end well.
            ToolKilledError: a signal ended it, its plugin or its guardian; another try may end well.
            ToolStoppedError: it was stopped, see `stop`.
        """
        name = f"{self.found.tool.title} ({' '.join(arguments[:1])})"
        if self._stopped:
            raise ToolStoppedError(f"{name} was not started: the task is being stopped")
        self._program = Program(
            [self.found.path, *arguments],
            folder=self.folder,
            environment=self._environment,
            log=Silence() if quiet else self._log,
            grace=self._grace,
            secrets=self._secrets,
            on_line=self._on_line,
            lock=self._lock,
            keep=KEPT_LINES,
        )
        result = self._program.run()
        if result.stopped:
            raise ToolStoppedError(f"{name} was stopped with its task; it cleaned up and ended with {result.status}")
        if result.status not in accept:
            why = self.explain(result.output)
            if killed := _killed(result):
                # Of a killed guardian the program gets SIGTERM, and of a killed plugin an error: both clean up.
                cleans_up = result.status < _SIGNALLED
                raise ToolKilledError(f"{name} {killed}, perhaps for want of memory. {why}", cleans_up=cleans_up)
            if _STATE_KEPT_HERE not in result.output:
                if _UNREACHED.search(why):
                    raise CloudUnreachableError(f"{name} did not reach AWS: {why}")
                if _REFUSED_FOR_NOW.search(why):
                    raise CloudUnreachableError(f"{name} failed because AWS throttled it or failed itself: {why}")
            raise ToolFailedError(f"{name} failed with status {result.status}. {why}")
        return result

    def explain(self, output: str) -> str:
        """Return the part of `output` with the reason of a failure."""
        return "The end of its output:\n" + "\n".join(output.splitlines()[-SHOWN_LINES:])

    def stop(self) -> None:
        """Ask the tool to clean up and end; no further command starts."""
        self._stopped = True
        if self._program is not None:
            self._program.stop()
