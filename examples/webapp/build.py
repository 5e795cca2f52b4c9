"""Builds the sample web service's artifact: `python -m examples.webapp.build 1.2.3`."""

from __future__ import annotations

import sys
from pathlib import Path

from examples.artifact import BuildError, check, command, files_below, pack

__all__ = ["FAULTS", "NAME", "ROOT", "BuildError", "build"]

NAME = "webapp"
ROOT = Path(__file__).resolve().parent / "root"
FAULTS = {
    "self-test": "bin/healthcheck --self-test fails: the bake must fail",
    "healthz": "the self-test passes, but /healthz answers 500 on an instance: the probe must fail",
    "late": "healthy for its first 30 seconds, then /healthz answers 500: passes a quick probe, fails in the fleet",
}


def build(version: str, output: Path, fault: str = "", epoch: int = 0) -> Path:
    """Write `webapp-<version>.tar.gz` and its `.sha256` into the folder `output`; return the archive's path.

    Args:
        version: three numbers separated by dots.
        output: made if it does not exist.
        fault: one of FAULTS breaks the build on purpose, for tests and demonstrations.
        epoch: the time that every file in the archive carries, in seconds since 1970.

    Raises:
        BuildError: naming the value and what is allowed.
    """
    check(version, fault, FAULTS)
    extra = {"VERSION": f"{version}\n".encode()} | ({"FAULT": f"{fault}\n".encode()} if fault else {})
    return pack(NAME, version, {**files_below(ROOT), **extra}, output, epoch)


if __name__ == "__main__":
    sys.exit(command(build, FAULTS, "examples.webapp.build"))
