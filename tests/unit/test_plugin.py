"""What Airflow's plugin loader finds: one file, and nothing that it would run under a bare name."""

from pathlib import Path

import pytest
from airflow._shared.module_loading import find_path_from_directory


# Airflow 3.3 itself asks pathspec for the pattern style that pathspec has since renamed.
@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
def test_the_loader_runs_one_file_only(project: Path) -> None:
    """It runs each file that it finds under its bare name: `rebake/process.py` would become `process`."""
    found = find_path_from_directory(str(project / "plugins"), ".airflowignore", "glob")

    assert [Path(path).name for path in found if path.endswith(".py")] == ["rebake_plugin.py"]
