from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rebake.image.fingerprint import fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    template = tmp_path / "app"
    template.mkdir()
    (template / "app.pkr.hcl").write_text("source {}\n", encoding="utf-8")
    (template / "steps").mkdir()
    (template / "steps" / "one.sh").write_text("true\n", encoding="utf-8")
    return template


def _of(folder: Path, **changes: Any) -> str:
    inputs: dict[str, Any] = {
        "folders": {"template": folder},
        "variables": {"service": "webapp"},
        "base_ami": "ami-1",
        "artifact_sha256": "aa",
    }
    return fingerprint(**inputs | changes)


def test_equal_inputs_have_equal_fingerprints_of_64_hexadecimal_digits(folder: Path) -> None:
    assert _of(folder) == _of(folder)
    assert len(_of(folder)) == 64
    assert int(_of(folder), 16)


def test_the_order_of_variables_does_not_count(folder: Path) -> None:
    assert _of(folder, variables={"a": 1, "b": 2}) == _of(folder, variables={"b": 2, "a": 1})


def test_where_the_folder_lies_and_when_it_was_written_do_not_count(folder: Path, tmp_path: Path) -> None:
    before = _of(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    (moved / "app.pkr.hcl").touch()

    assert _of(moved) == before


def test_an_editors_hidden_file_does_not_count(folder: Path) -> None:
    before = _of(folder)
    (folder / ".app.pkr.hcl.swp").write_text("x", encoding="utf-8")

    assert _of(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"variables": {"service": "other"}}, id="a variable"),
        pytest.param({"base_ami": "ami-2"}, id="the base image"),
        pytest.param({"artifact_sha256": "bb"}, id="the artifact"),
    ],
)
def test_each_input_counts(folder: Path, change: dict[str, Any]) -> None:
    assert _of(folder, **change) != _of(folder)


def test_a_changed_file_counts(folder: Path) -> None:
    before = _of(folder)
    (folder / "steps" / "one.sh").write_text("false\n", encoding="utf-8")

    assert _of(folder) != before


def test_a_renamed_file_counts(folder: Path) -> None:
    before = _of(folder)
    (folder / "steps" / "one.sh").rename(folder / "steps" / "two.sh")

    assert _of(folder) != before


def test_the_executable_bit_counts(folder: Path) -> None:
    before = _of(folder)
    (folder / "steps" / "one.sh").chmod(0o755)

    assert _of(folder) != before


def test_text_that_moves_from_one_field_to_the_next_counts(folder: Path) -> None:
    assert _of(folder, base_ami="ab", artifact_sha256="c") != _of(folder, base_ami="a", artifact_sha256="bc")
