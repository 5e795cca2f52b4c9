"""`make report KIND=...`: the newest report on the estate."""

import json
from typing import Final

from rebake import config
from rebake.estate.report import KINDS, Report, latest
from stack.cloud import reading
from stack.errors import InputError
from stack.settings import ENVIRONMENT
from stack.up import Stack

FORMATS: Final = ("text", "json", "html")


def run(stack: Stack, kind: str, form: str) -> str:
    """Return the newest report of a kind as text, JSON or a page.

    Raises:
        InputError: there is no such kind, or no report of it yet.
        StackError: the embedded cloud does not answer.
    """
    if kind not in KINDS:
        raise InputError(f"no report {kind!r}: make report KIND={'|'.join(KINDS)}")
    with reading():
        found = latest(stack.cloud.client("s3"), config.load_environment(ENVIRONMENT).bucket, kind)
    if found is None:
        raise InputError(
            f"there is no report {kind} yet: trigger its DAG, which writes one with each run (docs/estate.md)"
        )
    if form == "json":
        return json.dumps(found, indent=2)
    report = Report.load(found)
    return report.to_html() if form == "html" else report.to_text()
