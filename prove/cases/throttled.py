"""A deployment while AWS refuses a third of the calls."""

from collections import Counter
from typing import Final

from prove.case import Case
from prove.cases.good import calls_of, check_success
from prove.result import Check, Findings
from prove.scene import Scene

MOST: Final = 3
"""Times as many calls as a quiet deployment makes, which bakes an image and replaces three instances as well."""


def _throttled(scene: Scene) -> Findings:
    version = scene.new_version()
    quiet = scene.measured("good-3", "calls")
    scene.fault(KIND="throttle", ACTION="*", RATE="0.3")
    scene.fault(KIND="error", ACTION="*", RATE="0.05")
    run = scene.deploy(version, commit="0123abe")
    scene.clear_faults()
    calls = calls_of(scene, run)
    checks, facts = check_success(scene, run)
    refused = Counter(one["fault"].partition("-")[0] for one in calls if one["fault"])
    checks.append(
        Check(
            f"at most {MOST} times the calls of a quiet run",
            f"{len(calls)} of {MOST} x {quiet:.0f}: {len(calls) / quiet:.2f} times",
            len(calls) <= MOST * quiet,
        )
    )
    summary = ", ".join(f"{count} ({count / len(calls):.0%}) by {kind}" for kind, count in refused.most_common())
    return Findings(checks, {**facts, "calls that a fault met": summary})


CASES: Final = (
    Case(
        "throttled",
        "30 % throttling and 5 % errors (500) on every action",
        "The deployment succeeds; at most 3 times the API calls of a quiet run",
        _throttled,
    ),
)
