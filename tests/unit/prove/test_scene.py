"""What a case changes is as before when it has ended."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from prove.helpers import wait
from prove.scene import Scene
from stack.errors import StackError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file of the service in a stack's own copy of the configuration."""
    file = tmp_path / "config" / "services" / "webapp.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("name: webapp\nrollout:\n  bake_time: 60 # a comment\n  timeout: 3600\n")
    return file


@pytest.fixture
def scene(tmp_path: Path, file: Path) -> Scene:
    """Return a scene on a stack of which only the folder is there."""
    return Scene(SimpleNamespace(layout=SimpleNamespace(state=tmp_path)), tmp_path / "results")


def test_a_changed_service_file_keeps_what_was_not_changed_and_is_as_before_afterwards(
    scene: Scene, file: Path
) -> None:
    before = file.read_text()
    with scene.service_file(rollout={"alarms": ["errors"]}, probe={"http": []}):
        changed = yaml.safe_load(file.read_text())

    assert changed["rollout"] == {"bake_time": 60, "timeout": 3600, "alarms": ["errors"]}
    assert changed["probe"] == {"http": []}
    assert file.read_text() == before


def test_a_service_file_is_as_before_when_the_case_dies(scene: Scene, file: Path) -> None:
    before = file.read_text()
    with pytest.raises(StackError, match="died"), scene.service_file(rollout={"alarms": ["errors"]}):
        raise StackError("died")

    assert file.read_text() == before


def test_a_figure_of_a_case_that_never_ran_is_asked_for_by_name(scene: Scene) -> None:
    with pytest.raises(StackError, match="run the case good-3 before this one"):
        scene.measured("good-3", "calls")


def test_a_wait_ends_with_the_answer_or_names_what_did_not_come() -> None:
    assert wait("seven", lambda: 7, 1) == 7
    with pytest.raises(StackError, match="no miracle within 0 s"):
        wait("miracle", lambda: "", 0)
