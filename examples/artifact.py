"""Builds the example services' artifacts; the same files give the same bytes.

An artifact is a tar.gz whose root holds `<name>.service`, `bin/healthcheck` and, optionally, `packages.txt`.
The one input from outside is `SOURCE_DATE_EPOCH`, the time that every file in it carries (0 by default).
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
from collections.abc import Callable, Mapping
from pathlib import Path

VERSION_PATTERN = r"[0-9]+\.[0-9]+\.[0-9]+"

Build = Callable[[str, Path, str, int], Path]
"""Takes the version, the output folder, a fault or "", and the time of the entries; returns the archive's path."""


class BuildError(Exception):
    """Raised when an artifact cannot be built from the given arguments."""


def check(version: str, fault: str, faults: Mapping[str, str]) -> None:
    """Refuse what cannot be built.

    Args:
        version: three numbers separated by dots.
        fault: empty, or one of `faults`.
        faults: the ways in which the service can be broken on purpose, and what each does.

    Raises:
        BuildError: naming the value and what is allowed.
    """
    if not re.fullmatch(VERSION_PATTERN, version):
        raise BuildError(f"version {version!r}: must be three numbers separated by dots, such as 1.2.3")
    if fault and fault not in faults:
        raise BuildError(f"fault {fault!r}: must be one of {', '.join(faults)}")


def files_below(root: Path) -> dict[str, bytes]:
    """Return the files of a folder by their paths in it, without what Python has compiled."""
    paths = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def pack(name: str, version: str, files: Mapping[str, bytes], output: Path, epoch: int) -> Path:
    """Write `<name>-<version>.tar.gz` and its `.sha256` into the folder `output`; return the archive's path.

    Args:
        name: of the service.
        version: of the service.
        files: what is in the archive; those in `bin/` become executable.
        output: made if it does not exist.
        epoch: the time that every file in the archive carries, in seconds since 1970.
    """
    data = _archive(files, epoch)
    archive = output / f"{name}-{version}.tar.gz"
    output.mkdir(parents=True, exist_ok=True)
    # The checksum last, so that a checksum never exists without its archive.
    _write(archive, data)
    checksum = f"{hashlib.sha256(data).hexdigest()}  {archive.name}\n"
    _write(archive.with_name(f"{archive.name}.sha256"), checksum.encode())
    return archive


def command(build: Build, faults: Mapping[str, str], module: str, arguments: list[str] | None = None) -> int:
    """Build what the command line asks for; return the exit status.

    Args:
        build: builds the service's artifact.
        faults: the ways in which it can be broken on purpose, and what each does.
        module: the module that is run, for the help text.
        arguments: those of the process by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Build an example service's artifact.")
    parser.add_argument("version", help="three numbers separated by dots, such as 1.2.3")
    parser.add_argument("--output", type=Path, default=Path("build"), help="the folder to write to (default: build)")
    ways = "; ".join(f"{name}: {meaning}" for name, meaning in faults.items())
    parser.add_argument(
        "--break", dest="fault", default="", metavar="FAULT", help=f"break it on purpose, for tests. {ways}"
    )
    options = parser.parse_args(arguments)
    try:
        print(build(options.version, options.output, options.fault, _epoch(os.environ)))
    except (BuildError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


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
            # Not the file's own mode, which a checkout on another file system may have lost.
            mode = 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(_entry(name, epoch, tarfile.REGTYPE, mode, len(data)), io.BytesIO(data))
    return buffer.getvalue()


def _entry(name: str, epoch: int, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.mtime = kind, mode, size, epoch
    entry.uname = entry.gname = "root"
    return entry


def _write(path: Path, data: bytes) -> None:
    """Write `path` atomically."""
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
