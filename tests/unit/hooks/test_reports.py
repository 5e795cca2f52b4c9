from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rebake.estate.report import DRIFT, ORPHANS, RETIRE_IMAGES
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
