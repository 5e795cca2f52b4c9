"""A report on the estate: as JSON, as a page and as text."""

import json
from dataclasses import replace

import pytest

from rebake.estate.report import Report, Table
from tests.support.releases import REPORT


def test_a_report_that_was_written_is_read_back_whole() -> None:
    assert Report.load(json.loads(REPORT.to_json())) == replace(
        REPORT, summary=json.loads(json.dumps(dict(REPORT.summary)))
    )


def test_what_a_name_smuggles_into_the_page_is_escaped() -> None:
    evil = replace(REPORT, title="<script>", tables=(Table("<b>", ("<i>",), (("<script>alert(1)</script>",),)),))

    page = evil.to_html()

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_text_names_every_fact_and_every_row() -> None:
    text = REPORT.to_text()

    for part in ("2 images are due", "dry run", "yes", "Due (2)", "ami-1  older than 30 days", "Kept (0)", "none"):
        assert part in text


def test_a_table_of_thousands_of_rows_is_cut_in_the_text_alone() -> None:
    long = replace(REPORT, tables=(Table("Kept", ("image",), tuple((f"ami-{n}",) for n in range(10_000))),))

    assert "… and 9800 more" in long.to_text()
    assert len(long.to_text().splitlines()) < 300
    assert "ami-9999" in long.to_json()
    assert "ami-9999" in long.to_html()


def test_a_kind_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="kind 'drfit' of a report is none of retire-images"):
        replace(REPORT, kind="drfit")
