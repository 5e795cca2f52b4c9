"""The report of a run on the estate: JSON for programs, a page for people, text for the task log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import PlainSerializer, TypeAdapter

from rebake import bucket as objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RETIRE_IMAGES: Final = "retire-images"
ORPHANS: Final = "orphans"
DRIFT: Final = "drift"
REBAKE: Final = "rebake"
KINDS: Final = (RETIRE_IMAGES, ORPHANS, DRIFT, REBAKE)
"""What reports are about; each kind has a folder of its own."""

_WIDEST: Final = 60
"""Characters of a cell in the text; the page and the JSON have all of it."""
_LONGEST: Final = 200
"""Rows of a table in the text: a task log is no place for ten thousand lines."""

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1d2733 }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d9e0e7 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem } dd { margin: 0 }
dt, th { color: #55657a; font-weight: 600 }
"""


@dataclass(frozen=True)
class Table:
    """Rows of one kind.

    Args:
        title: what they are.
        columns: their headings.
        rows: plain values, one for each column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Report:
    """What one run found and did.

    Args:
        kind: one of `KINDS`.
        environment: name of the environment.
        region: its region.
        at: when, in UTC.
        title: the result in one line.
        summary: plain values by their names.
        tables: the details.
    """

    kind: str
    environment: str
    region: str
    at: Annotated[datetime, PlainSerializer(lambda at: at.astimezone(UTC).isoformat(timespec="seconds"))]
    title: str
    summary: Mapping[str, Any]
    tables: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} of a report is none of {', '.join(KINDS)}")

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Report:
        """Return the report that `to_json` has written."""
        return _REPORT.validate_python(data)

    @property
    def key(self) -> str:
        """What its objects are called, up to the ending; the names of a kind sort as time does."""
        return f"{folder(self.kind)}{self.at.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    def to_json(self) -> str:
        """Return the whole report, for programs."""
        return _REPORT.dump_json(self, indent=2).decode() + "\n"

    def to_text(self) -> str:
        """Return the report for a terminal or a task log; a long table is cut, with the number of the rows left out."""
        return "\n".join(self._lines())

    def to_html(self) -> str:
        """Return the report as a self-contained page; names given by AWS or by people are escaped."""
        facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(_text(value))}</dd>" for name, value in self._facts())
        tables = "".join(_html_table(table) for table in self.tables)
        return (
            f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(self.title)}</title>'
            f"<style>{_STYLE}</style></head>\n"
            f"<body><h1>{escape(self.title)}</h1>\n<dl>{facts}</dl>\n{tables}</body>\n</html>\n"
        )

    def _facts(self) -> Iterator[tuple[str, Any]]:
        yield "report", self.kind
        yield "environment", f"{self.environment}, {self.region}"
        yield "at", f"{self.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        yield from self.summary.items()

    def _lines(self) -> Iterator[str]:
        yield self.title
        facts = [(name, _text(value)) for name, value in self._facts()]
        width = max(len(name) for name, _ in facts)
        yield from (f"  {name:<{width}}  {text}" for name, text in facts)
        for table in self.tables:
            yield ""
            yield f"{table.title} ({len(table.rows)})"
            yield from _text_table(table)


_REPORT: Final = TypeAdapter(Report)


def folder(kind: str) -> str:
    """Return what the object keys of a kind's reports begin with."""
    return f"reports/{kind}/"


def latest(s3: S3Client, bucket: str, kind: str) -> dict[str, Any] | None:
    """Return the newest report of a kind; none if there is none (S3, ListObjectsV2 and GetObject)."""
    keys = [key for key in objects.keys(s3, bucket, folder(kind)) if key.endswith(".json")]
    content = objects.read(s3, bucket, max(keys)) if keys else None
    return None if content is None else json.loads(content)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items()) or "none"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_text(one) for one in value) or "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _text_table(table: Table) -> Iterator[str]:
    shown = [[_text(cell) for cell in row] for row in table.rows[:_LONGEST]]
    # The last column is text of any length, and nothing stands to its right.
    cut: list[Sequence[str]] = [table.columns, *([*(c[:_WIDEST] for c in row[:-1]), row[-1]] for row in shown)]
    widths = [max(len(row[at]) for row in cut) for at in range(len(table.columns))]
    for row in cut if shown else ():
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    if len(table.rows) > _LONGEST:
        yield f"  … and {len(table.rows) - _LONGEST} more"
    if not shown:
        yield "  none"


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(_text(cell))}</td>' for cell in row)}</tr>\n" for row in table.rows)
    body = f"<table><tr>{head}</tr>\n{rows}</table>" if rows else "<p>none</p>"
    return f"<h2>{escape(table.title)} ({len(table.rows)})</h2>\n{body}\n"
