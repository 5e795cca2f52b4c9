"""Assertions on a base image: what a declaration may say."""

import pytest
from pydantic import ValidationError

from rebake.config.assertions import Assertions
from tests.unit.base.base_facts import DECLARED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"packges": {}}, "packges"),
        ({"packages": {"installed": ["sudo; reboot"]}}, "packages.installed"),
        ({"ports": {"open": ["ssh"]}}, "ports.open"),
        ({"files": {"/etc/shadow": {}}}, "absent: true"),
        ({"files": {"/etc/shadow": {"absent": True, "mode": "0640"}}}, "absent: true"),
        ({"files": {"shadow": {"absent": True}}}, "shadow"),
        ({"hardening": ["disk"]}, "hardening"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_by_field(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Assertions.model_validate(DECLARED | change)
