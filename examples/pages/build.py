"""Builds the sample site's artifact: `python -m examples.pages.build 1.2.3`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from examples.artifact import check, command, files_below, pack

NAME = "pages"
ROOT = Path(__file__).resolve().parent / "root"
INDEX = "site/index.html"
FAULTS = {"self-test": "the site has no front page, so bin/healthcheck --self-test fails: the bake must fail"}


def build(version: str, output: Path, fault: str = "", epoch: int = 0) -> Path:
    """Write `pages-<version>.tar.gz` and its `.sha256` into the folder `output`; return the archive's path.

    Args:
        version: three numbers separated by dots.
        output: made if it does not exist.
        fault: one of FAULTS breaks the build on purpose, for tests and demonstrations.
        epoch: the time that every file in the archive carries, in seconds since 1970.

    Raises:
        BuildError: naming the value and what is allowed.
    """
    check(version, fault, FAULTS)
    files = files_below(ROOT)
    files[INDEX] = files[INDEX].replace(b"{version}", version.encode())
    files["VERSION"] = f"{version}\n".encode()
    files["site/healthz"] = b"ok\n"
    files["site/version"] = json.dumps({"service": NAME, "version": version}).encode() + b"\n"
    if fault:
        del files[INDEX]
    return pack(NAME, version, files, output, epoch)


if __name__ == "__main__":
    sys.exit(command(build, FAULTS, "examples.pages.build"))
