from types import SimpleNamespace
from typing import Any

import pytest

from rebake.estate.report import RETIRE_IMAGES
from stack import report
from stack.errors import InputError
from tests.support.aws import BUCKET
from tests.support.releases import REPORT


@pytest.fixture
def stack(s3: Any) -> Any:
    return SimpleNamespace(cloud=SimpleNamespace(client=lambda _: s3), s3=s3)


@pytest.mark.parametrize(
    ("form", "printed"), [("text", REPORT.to_text()), ("html", REPORT.to_html()), ("json", REPORT.to_json().rstrip())]
)
def test_the_newest_report_is_printed_in_each_form(stack: Any, form: str, printed: str) -> None:
    stack.s3.put_object(Bucket=BUCKET, Key=f"{REPORT.key}.json", Body=REPORT.to_json())

    assert report.run(stack, RETIRE_IMAGES, form) == printed


def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are(stack: Any) -> None:
    with pytest.raises(InputError, match=r"no report 'retire': make report KIND=retire-images\|orphans\|drift"):
        report.run(stack, "retire", "text")


def test_a_missing_report_is_an_input_error(stack: Any) -> None:
    with pytest.raises(InputError, match="there is no report retire-images yet"):
        report.run(stack, RETIRE_IMAGES, "text")
