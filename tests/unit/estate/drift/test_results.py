"""What the tasks of detect_drift return."""

import json

from rebake.estate.drift.results import ScanResult
from tests.unit.estate.drift.drift_support import DELAY, ROLLING, SSH


def test_findings_and_what_was_not_scanned_survive_the_way_through_xcom() -> None:
    result = ScanResult(findings=(DELAY, SSH), unseen=(ROLLING,), groups={"webapp": "webapp-local"})

    assert ScanResult.model_validate(json.loads(json.dumps(result.model_dump(mode="json")))) == result
