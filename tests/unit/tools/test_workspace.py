import contextlib
from pathlib import Path

import pytest

from rebake.exceptions import ToolFailedError
from rebake.tools import packer, terraform
from rebake.tools.workspace import PATIENCE, workspace


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REBAKE_WORK", str(tmp_path / "work"))
    return tmp_path / "work"


@pytest.mark.parametrize("fails", [False, True])
def test_the_folder_is_readable_by_its_owner_only_and_gone_afterwards(root: Path, fails: bool) -> None:
    with contextlib.suppress(ValueError) if fails else contextlib.nullcontext(), workspace("key") as work:
        (work.path / "variables.json").write_text("{}", encoding="utf-8")
        assert work.path.parent == root
        assert work.path.stat().st_mode & 0o777 == 0o700
        if fails:
            raise ValueError("the bake failed")

    assert list(root.iterdir()) == []


def test_what_a_killed_try_left_in_the_folder_is_not_seen_by_the_next() -> None:
    with workspace("key") as work:
        left = work.path
    left.mkdir()
    (left / "manifest.json").write_text("of the killed try", encoding="utf-8")

    with workspace("key") as work:
        assert work.path == left
        assert list(work.path.iterdir()) == []


def test_folders_of_killed_tries_that_nobody_retried_go_away_and_those_in_use_stay(root: Path) -> None:
    with workspace("in use") as used:
        (root / "abandoned").mkdir()
        (root / "abandoned.lock").touch()
        with workspace("another"):
            assert used.path.is_dir()
            assert not (root / "abandoned").exists()
            assert not (root / "abandoned.lock").exists()


def test_different_work_has_different_folders_even_where_the_names_read_alike() -> None:
    with workspace("a/b") as one, workspace("a-b") as other:
        assert one.path != other.path


def test_a_retry_waits_until_the_program_of_the_earlier_try_has_ended() -> None:
    earlier = workspace("key")
    earlier.__enter__()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            earlier.__exit__(None, None, None)

    with workspace("key", sleep=sleep) as work:
        assert work.path.is_dir()

    assert waits == [1, 1, 1]


def test_a_retry_waits_longer_than_any_tool_may_take_to_clean_up() -> None:
    assert PATIENCE > terraform.GRACE > terraform.CAPACITY_TIMEOUT
    assert PATIENCE > packer.GRACE


def test_a_retry_gives_up_with_the_lock_named_when_the_earlier_program_does_not_end() -> None:
    with (
        workspace("deploy_webapp/manual__1/bake"),
        pytest.raises(ToolFailedError, match=r"deploy_webapp/manual__1/bake still runs after 5 s and holds .*\.lock"),
        workspace("deploy_webapp/manual__1/bake", patience=5, sleep=lambda _seconds: None),
    ):
        pass
