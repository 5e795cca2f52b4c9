"""Where the project's files are on this worker."""

import os
from pathlib import Path


def home() -> Path:
    """Return the project's folder: `REBAKE_HOME`, or the checkout that this file lies in."""
    return Path(os.environ.get("REBAKE_HOME") or Path(__file__).resolve().parents[2])


def work_root() -> Path:
    """Return the folder under which each run of a tool gets its private working directory.

    It is `REBAKE_WORK`, or `.rebake/work` in the project's folder, which git ignores.
    """
    return Path(os.environ.get("REBAKE_WORK") or home() / ".rebake" / "work")
