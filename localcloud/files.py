"""Files that are put into an instance before it boots."""

import io
import tarfile
from collections.abc import Mapping

PRIVATE = "/var/lib/localcloud/"
"""Where user data lies in an instance, which may hold secrets."""


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive of the files, by their absolute paths; private files are readable by root only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(content)
            member.mode = 0o600 if path.startswith(PRIVATE) else 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
