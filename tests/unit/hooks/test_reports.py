from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rebake.estate.report import DRIFT, ORPHANS, RETIRE_IMAGES, Report, Table
from rebake.hooks.reports import ReportsHook
from tests.support.aws import BUCKET, REGION
from tests.support.releases import REPORT


@pytest.fixture
def hook(s3: Any) -> ReportsHook:
    return ReportsHook(aws_conn_id=None, region_name=REGION)


def test_a_report_is_written_as_json_and_as_a_page(hook: ReportsHook) -> None:
    key = hook.write(BUCKET, REPORT)

    assert key == "reports/retire-images/20260301T043000Z.json"
    page = hook.s3.get_object(Bucket=BUCKET, Key=key.replace(".json", ".html"))
    assert page["ContentType"].startswith("text/html")
    assert page["Body"].read().decode() == REPORT.to_html()


def test_the_newest_report_of_a_kind_is_found(hook: ReportsHook) -> None:
    for hours in (2, 5, 1):
        hook.write(BUCKET, replace(REPORT, at=REPORT.at + timedelta(hours=hours), title=f"after {hours} hours"))
    hook.write(BUCKET, replace(REPORT, kind=DRIFT, at=REPORT.at + timedelta(days=1)))

    found = hook.latest(BUCKET, RETIRE_IMAGES)

    assert found is not None
    assert found["title"] == "after 5 hours"


def test_no_report_is_no_error(hook: ReportsHook) -> None:
    assert hook.latest(BUCKET, ORPHANS) is None


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
