"""Builds the sample application's artifact: `python -m examples.webapp.build 1.2.3`.

The artifact is a tar.gz whose root holds `<name>.service`, `bin/healthcheck` and, optionally, `packages.txt`.
The same version of the same files gives the same bytes, on any machine and at any time; the one input from
outside is `SOURCE_DATE_EPOCH`, the time that every file in it carries (0 by default).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

NAME = "webapp"
ROOT = Path(__file__).resolve().parent / "root"
VERSION_PATTERN = r"[0-9]+\.[0-9]+\.[0-9]+"
FAULTS = {
    "self-test": "bin/healthcheck --self-test fails: the bake must fail",
    "healthz": "the self-test passes, but /healthz answers 500 on an instance: the probe must fail",
    "late": "healthy for its first 30 seconds, then /healthz answers 500: passes a quick probe, fails in the fleet",
}


class BuildError(Exception):
    """Raised when an artifact cannot be built from what was asked for."""


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
    if not re.fullmatch(VERSION_PATTERN, version):
        raise BuildError(f"version {version!r}: must be three numbers separated by dots, such as 1.2.3")
    if fault and fault not in FAULTS:
        raise BuildError(f"fault {fault!r}: must be one of {', '.join(FAULTS)}")
    extra = {"VERSION": f"{version}\n".encode()} | ({"FAULT": f"{fault}\n".encode()} if fault else {})
    data = _archive({**_files(), **extra}, epoch)
    archive = output / f"{NAME}-{version}.tar.gz"
    output.mkdir(parents=True, exist_ok=True)
    # The checksum last: whoever finds it finds the archive that it belongs to.
    _write(archive, data)
    checksum = f"{hashlib.sha256(data).hexdigest()}  {archive.name}\n"
    _write(archive.with_name(f"{archive.name}.sha256"), checksum.encode())
    return archive


def _files() -> dict[str, bytes]:
    paths = (path for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def _archive(files: Mapping[str, bytes], epoch: int) -> bytes:
    """Return a tar.gz of `files` that depends on nothing but the arguments."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted({parent.as_posix() for path in files for parent in Path(path).parents} - {"."}):
            archive.addfile(_entry(name, epoch, tarfile.DIRTYPE, 0o755))
        for name, data in sorted(files.items()):
            # Not the file's own mode: a checkout on another file system may have lost it.
            mode = 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(_entry(name, epoch, tarfile.REGTYPE, mode, len(data)), io.BytesIO(data))
    return buffer.getvalue()


def _entry(name: str, epoch: int, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.mtime = kind, mode, size, epoch
    entry.uname = entry.gname = "root"
    return entry


def _write(path: Path, data: bytes) -> None:
    """Write `path` whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _epoch(environ: Mapping[str, str]) -> int:
    text = environ.get("SOURCE_DATE_EPOCH", "0")
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise BuildError(f"SOURCE_DATE_EPOCH={text!r}: must be a whole number of seconds since 1970")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Build what the command line asks for; return the exit status."""
    faults = "; ".join(f"{name}: {meaning}" for name, meaning in FAULTS.items())
    parser = argparse.ArgumentParser(prog="python -m examples.webapp.build", description="Build the sample artifact.")
    parser.add_argument("version", help="three numbers separated by dots, such as 1.2.3")
    parser.add_argument("--output", type=Path, default=Path("build"), help="the folder to write to (default: build)")
    parser.add_argument(
        "--break", dest="fault", default="", metavar="FAULT", help=f"break it on purpose, for tests. {faults}"
    )
    options = parser.parse_args(arguments)
    try:
        print(build(options.version, options.output, options.fault, _epoch(os.environ)))
    except (BuildError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
