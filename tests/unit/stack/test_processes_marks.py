"""Which processes `make down` ends by their mark."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from stack.processes import MARK, kill_marked, marked


def test_what_carries_the_mark_is_ended_but_the_name_server_that_others_use_is_not(tmp_path: Path) -> None:
    """Podman's aardvark-dns inherits the mark from the engine that started it, and serves the whole machine."""
    server = shutil.copy(shutil.which("sleep") or "", tmp_path / "aardvark-dns")
    environment = {MARK: f"test-{tmp_path.name}"}
    with (
        subprocess.Popen(["sleep", "60"], env=environment) as ours,
        subprocess.Popen([server, "60"], env=environment) as shared,
    ):
        try:
            assert marked(environment[MARK]) == [ours.pid]

            assert kill_marked(environment[MARK]) == []

            assert shared.poll() is None
        finally:
            ours.kill()
            shared.kill()
