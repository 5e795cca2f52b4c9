"""The test report of an image."""

import pytest
from pydantic import ValidationError

from rebake.image.probe_report import CheckOutcome, ProbeReport


def test_a_report_is_good_only_if_every_check_passed() -> None:
    passed, failed = CheckOutcome(name="GET /", ok=True), CheckOutcome(name="self-test")

    assert ProbeReport(instance_id="i-1", checks=[passed]).ok
    assert not ProbeReport(instance_id="i-1", checks=[passed, failed]).ok


def test_a_report_with_a_field_that_records_do_not_have_is_refused() -> None:
    with pytest.raises(ValidationError, match="assertions"):
        ProbeReport.model_validate({"instance_id": "i-1", "checks": [], "assertions": []})
