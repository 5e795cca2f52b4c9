"""Renders the results as Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from prove.case import Case
from prove.result import LOAD_CHECKS, CaseResult

GREEN, RED, NOT_RUN = "🟢", "🔴", "⚪ not run"


def render(cases: Sequence[Case], results: Mapping[str, CaseResult]) -> str:
    """Return the document.

    Args:
        cases: Its rows, in this order.
        results: By the names of the cases; one without is reported as not run.
    """
    found = [results[case.name] for case in cases if case.name in results]
    rows = [_row(case, results.get(case.name)) for case in cases]
    sections = [_section(case, results[case.name]) for case in cases if case.name in results]
    return "\n".join(
        [
            "# What a rollout promises, measured",
            "",
            "<!-- Written by `make prove`: change prove/ and run that. -->",
            "",
            "Each row was brought about for real, by `make prove`: Packer bakes, Terraform provisions, instances boot",
            "and serve behind the load balancer of the embedded cloud, and Airflow runs the DAGs. In every case an",
            "open load of 200 requests a second, as heavy whether or not answers come, goes through the load balancer",
            "from beginning to end. Latency counts from when a request was due.",
            "",
            *_head(found, len(cases)),
            "",
            *_table(("", "case", "must hold", "measured", "requests", "failed", "p50 / p99 ms", "seconds"), rows),
            "",
            *sections,
        ]
    )


def _head(results: Sequence[CaseResult], rows: int) -> list[str]:
    """Return when, where and of what: once where it is the same for all."""
    green = sum(result.green for result in results)
    lines = [f"**{green} of {rows} cases are green**, in {_minutes(sum(one.seconds for one in results))}."]
    for name, values in (
        ("Measured", sorted({result.at[:10] for result in results})),
        ("Commit", sorted({result.commit for result in results})),
        ("Machine", sorted({result.machine for result in results})),
    ):
        lines.append(f"{name}: {'; '.join(values) or 'not yet'}.")
    return ["  \n".join(lines)]


def _row(case: Case, result: CaseResult | None) -> tuple[str, ...]:
    if result is None:
        return (NOT_RUN, case.title, case.must_hold, "", "", "", "", "")
    load = result.load
    # The load's own checks have columns of their own, unless they are what is wrong.
    checks = result.findings.checks
    shown = [check for check in checks if not check.ok] or [check for check in checks if check.what not in LOAD_CHECKS]
    return (
        GREEN if result.green else RED,
        f"[{case.title}](#{case.name})",
        case.must_hold,
        "; ".join(f"{check.what}: {check.measured}" for check in shown),
        f"{load['sent']}",
        f"{load['failed']}",
        f"{load['p50_ms']:.0f} / {load['p99_ms']:.0f}",
        f"{result.seconds:.0f}",
    )


def _section(case: Case, result: CaseResult) -> str:
    lines = [
        f'## <a name="{case.name}"></a>{case.title}',
        "",
        f"{case.must_hold}.",
        "",
        *_table(
            ("", "had to hold", "measured"),
            [(GREEN if check.ok else RED, check.what, check.measured) for check in result.findings.checks],
        ),
        "",
        _load(result),
        *(f"* {name[:1].upper()}{name[1:]}: {value}" for name, value in result.findings.facts.items()),
        f"* {result.at}, commit {result.commit}; each second in [{case.name}.csv](proof/{case.name}.csv).",
        "",
    ]
    if result.findings.table:
        lines += [*_table(result.findings.table.columns, result.findings.table.rows), ""]
    lines += [f"![Timeline of {case.title}](proof/{case.name}.png)", ""]
    return "\n".join(lines)


def _load(result: CaseResult) -> str:
    load = result.load
    reasons = "; ".join(f"{count} x {reason}" for reason, count in load["reasons"].items())
    answers = ", ".join(f"{count} by {version}" for version, count in sorted(load["answers"].items()))
    return (
        f"* Load: {load['sent']} requests in {load['seconds']:.0f} s, answered {answers or 'by nobody'}; "
        f"{load['failed']} failed{f' ({reasons})' if reasons else ''}.\n"
        f"* Latency: median {load['p50_ms']:.1f} ms, 99 % within {load['p99_ms']:.1f} ms, longest "
        f"{load['p100_ms']:.0f} ms. The load itself was late by {load['late_p99_ms']:.1f} ms at most in 99 % of "
        f"requests, and by {load['late_p100_ms']:.0f} ms at worst."
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(columns), _line(["---"] * len(columns)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.replace('|', chr(92) + '|').split()) for cell in cells)} |"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
