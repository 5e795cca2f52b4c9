"""Documentation and comments name only files, headings and symbols that exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

FOLDERS: Final = (
    *(".ci", "benchmarks", "config", "dags", "docs", "examples", "infrastructure", "localcloud"),
    *("packer", "plugins", "prove", "setup", "stack", "tests"),
)

MARKDOWN_LINK: Final = re.compile(r"\]\((?!https?://|mailto:)([^()#\s]*)(?:#([^()\s]+))?\)")
QUOTED_PATH: Final = re.compile(r"`([\w.<>{}*-]+(?:/[\w.<>{}*-]*)+)(?:::(\w+))?`")
PLAIN_PATH: Final = re.compile(rf"(?<![\w./<{{$-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./<>{{}}*-]*[\w>}}*/]")
COMMENT: Final = re.compile(r"(?:^|\s)#+ (.*)")
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMED_ANCHOR: Final = re.compile(r'<a name="([^"]+)">')
PLACEHOLDER: Final = re.compile(r"<[^<>]*>|\{[^{}]*\}")
DOCUMENT: Final = re.compile(r"(?<![\w/])docs/[\w./-]+\.md")
CODE_BLOCK: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def texts(project: Path) -> dict[Path, str]:
    """Return what a person reads: Markdown and DAG files whole, of other files the comments."""
    files = [*project.glob("*"), *(file for folder in FOLDERS for file in (project / folder).rglob("*"))]
    comments = {file: text for file in files if (text := readable(file)) and ".terraform" not in file.parts}
    return comments | {file: file.read_text() for file in (project / "dags").glob("*.py")}


def readable(file: Path) -> str:
    """Return Markdown whole, the comments of other files, and the documents that Python names; else nothing."""
    if file.suffix == ".md":
        return file.read_text()
    if file.suffix == ".py":
        return "\n".join(DOCUMENT.findall(file.read_text()))
    if file.suffix in {".yaml", ".yml", ".tf", ".hcl", ".sh", ".env"} or file.name in {"Makefile", "Dockerfile"}:
        return "\n".join(COMMENT.findall(file.read_text()))
    return ""


def exists(path: str, *folders: Path) -> bool:
    """Whether the path, with anything for its placeholders, is there from one of the folders."""
    pattern = PLACEHOLDER.sub("*", path).rstrip("/")
    return any(any(folder.glob(pattern)) for folder in folders)


def anchors(file: Path) -> set[str]:
    """Return the anchors of a Markdown file: those written in it, and its headings', as GitHub makes them."""
    text = CODE_BLOCK.sub("", file.read_text())
    headings = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}
    return headings | set(NAMED_ANCHOR.findall(text))


def paths(file: Path, text: str, project: Path) -> Iterator[tuple[str, str]]:
    """Yield the paths that a text names, each with the symbol that stands behind it as `path::symbol`, or none."""
    for path, symbol in QUOTED_PATH.findall(text):
        first = path.split("/")[0]
        if first in FOLDERS or (file.parent / first).is_dir():
            yield path, symbol
    for path in PLAIN_PATH.findall(text):
        yield path, ""


def test_every_relative_link_leads_to_a_file_and_a_heading(texts: dict[Path, str]) -> None:
    links = [(file, link, anchor) for file, text in texts.items() for link, anchor in MARKDOWN_LINK.findall(text)]
    broken = [
        f"{file}: {link}#{anchor}"
        for file, link, anchor in links
        if not (target := file.parent / link if link else file).exists() or (anchor and anchor not in anchors(target))
    ]

    assert links
    assert broken == []


def test_every_path_that_prose_names_exists(project: Path, texts: dict[Path, str]) -> None:
    """A file that was moved or never written is named nowhere, be it in Markdown, a DAG's page or a comment."""
    named = [(file, path) for file, text in texts.items() for path, _ in paths(file, text, project)]

    assert named
    assert [f"{file}: {path}" for file, path in named if not exists(path, project, file.parent)] == []


def test_every_symbol_that_is_named_with_its_file_is_in_it(project: Path, texts: dict[Path, str]) -> None:
    named = [item for file, text in texts.items() for item in paths(file, text, project) if item[1]]

    assert named
    assert [f"{path}::{symbol}" for path, symbol in named if symbol not in (project / path).read_text()] == []
