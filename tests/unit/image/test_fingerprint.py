from collections.abc import Callable
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


def test_text_that_moves_from_one_field_to_the_next_counts(folder: Path) -> None:
    assert _of(folder, base_ami="ab", artifact_sha256="c") != _of(folder, base_ami="a", artifact_sha256="bc")


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        pytest.param(lambda file: file.write_text("false\n", encoding="utf-8"), True, id="a changed file"),
        pytest.param(lambda file: file.rename(file.with_name("two.sh")), True, id="a renamed file"),
        pytest.param(lambda file: file.chmod(0o755), True, id="the executable bit"),
        pytest.param(lambda file: file.touch(), False, id="when it was written"),
        pytest.param(lambda file: file.with_name(".one.sh.swp").touch(), False, id="an editor's hidden file"),
    ],
)
def test_what_packer_sees_of_the_folder_counts(folder: Path, change: Callable[[Path], object], counts: bool) -> None:
    before = _of(folder)
    change(folder / "steps" / "one.sh")

    assert (_of(folder) != before) == counts


def test_where_the_folder_lies_and_the_order_of_variables_do_not_count(folder: Path, tmp_path: Path) -> None:
    before = _of(folder, variables={"a": 1, "b": 2})

    assert _of(folder.rename(tmp_path / "elsewhere"), variables={"b": 2, "a": 1}) == before
