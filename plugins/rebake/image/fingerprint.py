"""The fingerprint of an image's inputs: equal inputs need no second bake."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

SHORT: Final = 12
"""How many digits of the fingerprint an image's name shows; the tag holds all of them."""

_FORMAT: Final = "rebake fingerprint 1"
_EXECUTABLE: Final = 0o111


def fingerprint(
    *,
    folders: Mapping[str, Path],
    variables: Mapping[str, Any],
    base_ami: str,
    artifact_sha256: str = "",
) -> str:
    """Return the SHA-256, in hexadecimal digits, over everything that influences an image's content.

    Args:
        folders: template and script folders by role; each file counts with relative path, executable bit and bytes.
        variables: the template's variables that influence the content: no names, times, paths, or networks.
        base_ami: id of the image that is baked upon.
        artifact_sha256: SHA-256 of the artifact, empty for a base image.
    """
    total = hashlib.sha256()
    _add(total, "format", _FORMAT)
    for role, folder in sorted(folders.items()):
        for path in _files(folder):
            name = f"{role}/{path.relative_to(folder).as_posix()}"
            executable = bool(path.stat().st_mode & _EXECUTABLE)
            _add(total, "file", name, "x" if executable else "-", hashlib.sha256(path.read_bytes()).hexdigest())
    _add(total, "variables", json.dumps(variables, sort_keys=True, separators=(",", ":")))
    _add(total, "base", base_ami)
    _add(total, "artifact", artifact_sha256)
    return total.hexdigest()


def _files(folder: Path) -> Iterable[Path]:
    # Sorted by the relative path's text, so that it is the same on every file system; editors' files do not count.
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _add(total: Any, *fields: str) -> None:
    # Each field with its length: no two different lists of fields make the same bytes.
    for field in fields:
        data = field.encode()
        total.update(f"{len(data)}:".encode() + data)
    total.update(b"\n")
