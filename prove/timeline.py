"""Draws a case: responses, latency, instances, stages and events over time."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prove.result import CaseResult, Moment, Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: Final = {
    "run": "#444444",
    "refresh": "#1f5fa8",
    "step": "#7aa6d6",
    "fault": "#b3261e",
    "instance": "#6d7f72",
    "back": "#c77700",
    "end": "#2e7d32",
}
"""The kinds of moments: a run, a refresh, a percentage of it, a fault, an instance, a rollback, a success."""
QUIET: Final = ("step", "instance")
"""Kinds that get a thin line, and are put together with what happens at the same time."""
STATES: Final = {"booting": "#c9ced6", "healthy": "#5aa469", "unhealthy": "#d9534f", "leaving": "#e3d3a4"}
VERSIONS: Final = ("#8fb7de", "#f2b880", "#b7a5d8", "#9fd3c7")
STAGES: Final = ("#dfe5ee", "#c9d4e4")
FAILED: Final = "#b3261e"
WIDTH: Final = 12.5
DPI: Final = 80


@dataclass(frozen=True)
class Second:
    """A line of the load's CSV file; latencies in milliseconds."""

    second: int
    failed: int
    p50: float
    p99: float
    late: float
    answers: dict[str, int]


def read(path: Path) -> list[Second]:
    """Return the seconds of a load's CSV file, but for the last, of which only a part was measured."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Second(
            int(row["second"]),
            int(row["failed"]),
            float(row["p50_ms"]),
            float(row["p99_ms"]),
            float(row["late_ms"]),
            {label: int(count) for label, count in (pair.rsplit("=", 1) for pair in row["answers"].split())},
        )
        for row in rows[:-1]
    ]


def merge(moments: Sequence[Moment], gap: float) -> list[Moment]:
    """Return the moments, merging quiet ones within `gap` seconds of another."""
    merged: list[Moment] = []
    for moment in moments:
        if merged and moment.at - merged[-1].at <= gap and moment.kind in QUIET and merged[-1].kind in QUIET:
            merged[-1] = Moment(merged[-1].at, merged[-1].kind, f"{merged[-1].text}, {moment.text}")
        else:
            merged.append(moment)
    return merged


def lanes_of(spans: Sequence[Span]) -> list[str]:
    """Return the lanes, stages of runs first, each group in the order in which it began."""
    instances = [span for span in spans if span.state in STATES]
    runs = [span for span in spans if span.state not in STATES]
    return list(dict.fromkeys(span.lane for span in [*runs, *sorted(instances, key=lambda span: span.start)]))


def draw(result: CaseResult, title: str, table: Path, picture: Path) -> None:
    """Draw a case.

    Args:
        result: Of the case.
        title: Of the case.
        table: The load's CSV file.
        picture: The PNG file to write.
    """
    # Without pyplot: nothing global is set, and no window is ever opened.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    seconds, lanes = read(table), lanes_of(result.spans)
    end = max([one.second + 1.0 for one in seconds] + [span.end for span in result.spans], default=1.0)
    moments = merge([moment for moment in result.moments if moment.at >= 0], 1.1)
    heights = [2.0, 1.7, 0.5 + 0.22 * max(len(lanes), 3)]
    lines = max(len(moments), 1)
    size = (WIDTH, max(sum(heights) + 1.9, 0.235 * lines + 1.3))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    load = result.load
    verdict = "green" if result.green else "RED"
    figure.suptitle(
        f"{title}: {verdict}, {load['sent']} requests, {load['failed']} failed, "
        f"p50 {load['p50_ms']:.0f} ms, p99 {load['p99_ms']:.0f} ms",
        fontsize=12,
        x=0.01,
        ha="left",
    )
    grid = figure.add_gridspec(3, 2, height_ratios=heights, width_ratios=[3.1, 1])
    requests = figure.add_subplot(grid[0, 0])
    latency = figure.add_subplot(grid[1, 0], sharex=requests)
    fleet = figure.add_subplot(grid[2, 0], sharex=requests)
    _requests(requests, seconds)
    _latency(latency, seconds)
    _fleet(fleet, result.spans, lanes)
    for axes in (requests, latency, fleet):
        _mark(axes, moments)
        axes.spines[["top", "right"]].set_visible(False)
    requests.tick_params(labelbottom=False)
    latency.tick_params(labelbottom=False)
    requests.set_xlim(0, end)
    fleet.set_xlabel("seconds since the load began")
    _number(requests, moments, end)
    _legend(figure.add_subplot(grid[:, 1]), moments)
    figure.savefig(picture)
    _shrink(picture)


def _requests(axes: Axes, seconds: Sequence[Second]) -> None:
    """Draw what answered, stacked, and what failed above it."""
    when = [one.second for one in seconds]
    # In the order in which they appear: what served at first is blue in every picture.
    versions = list(dict.fromkeys(version for one in seconds for version in sorted(one.answers)))
    counts = [[one.answers.get(version, 0) for one in seconds] for version in versions]
    failed = [one.failed for one in seconds]
    colours = [*(VERSIONS[number % len(VERSIONS)] for number, _ in enumerate(versions)), FAILED]
    labels = [*(f"answered by {version}" for version in versions), f"failed: {sum(failed)}"]
    axes.stackplot(when, *counts, failed, colors=colours, labels=labels, step="post")
    axes.set_ylabel("requests a second")
    axes.set_ylim(0, 1.25 * max((one.failed + sum(one.answers.values()) for one in seconds), default=1))
    axes.legend(loc="lower left", ncols=4, fontsize=8, framealpha=0.9)


def _latency(axes: Axes, seconds: Sequence[Second]) -> None:
    when = [one.second + 0.5 for one in seconds]
    # A second without an answer has no latency: the line has a gap there.
    for name, values, colour, width in (
        ("sent late, at most", [one.late for one in seconds], "#bbbbbb", 0.8),
        ("p99", [one.p99 if one.answers else math.nan for one in seconds], "#8e44ad", 1.1),
        ("p50", [one.p50 if one.answers else math.nan for one in seconds], "#1f5fa8", 1.3),
    ):
        axes.plot(when, values, color=colour, lw=width, label=name)
    axes.set_yscale("log")
    # Room for the legend above the highest line.
    axes.set_ylim(0.5, max([3000.0, *(one.p99 * 8 for one in seconds)]))
    axes.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes.set_ylabel("latency, ms")
    axes.grid(axis="y", color="#e5e5e5", lw=0.6)
    axes.legend(loc="upper left", ncols=3, fontsize=8, framealpha=0.9)


def _fleet(axes: Axes, spans: Sequence[Span], lanes: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    width = max((span.end for span in spans), default=1.0)
    for span in spans:
        is_instance = span.state in STATES
        row = lanes.index(span.lane)
        seen[span.lane] = seen.get(span.lane, 0) + 1
        colour = STATES[span.state] if is_instance else STAGES[seen[span.lane] % 2]
        axes.barh(row, span.end - span.start, left=span.start, height=0.78, color=colour, lw=0)
        # A name that does not fit its bar would only hide the next.
        if not is_instance and (span.end - span.start) / width > 0.0075 * len(span.state):
            axes.text((span.start + span.end) / 2, row, span.state, ha="center", va="center", fontsize=6.5)
    for name, colour in STATES.items():
        axes.barh(0, 0, color=colour, label=name)
    axes.set_yticks(range(len(lanes)), lanes, fontsize=7.5, family="monospace")
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.35 / (0.5 + 0.22 * max(len(lanes), 3))),
        ncols=4,
        fontsize=8,
        frameon=False,
    )


def _mark(axes: Axes, moments: Sequence[Moment]) -> None:
    for moment in moments:
        width = 0.6 if moment.kind in QUIET else 1.0
        axes.axvline(moment.at, color=COLOURS[moment.kind], lw=width, alpha=0.8, ls="--" if width < 1 else "-")


def _number(axes: Axes, moments: Sequence[Moment], end: float) -> None:
    """Write the numbers of the moments above the topmost panel, in two rows where they are close."""
    last, level = -end, 0
    for number, moment in enumerate(moments, 1):
        level = (level + 1) % 3 if moment.at - last < end / 45 else 0
        last = moment.at
        axes.annotate(
            str(number),
            (moment.at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4 + 11 * level),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color="white",
            bbox={"boxstyle": "round,pad=0.2", "fc": COLOURS[moment.kind], "ec": "none"},
        )


def _legend(axes: Axes, moments: Sequence[Moment]) -> None:
    axes.axis("off")
    axes.set_ylim(max(len(moments), 26), -1)
    axes.set_xlim(0, 1)
    for number, moment in enumerate(moments, 1):
        colour = COLOURS[moment.kind]
        row = number - 1
        axes.text(0.06, row, str(number), ha="right", va="center", fontsize=8, color=colour, weight="bold")
        axes.text(0.21, row, f"{moment.at:.0f} s", ha="right", va="center", fontsize=8, color="#666666")
        text = moment.text if len(moment.text) <= 40 else f"{moment.text[:39]}…"
        axes.text(0.24, row, text, ha="left", va="center", fontsize=8, color=colour)


def _shrink(picture: Path) -> None:
    """Write a picture again with a palette: a third of the size, and it looks the same."""
    from PIL import Image

    with Image.open(picture) as image:
        small = image.convert("RGB").quantize(256)
    small.save(picture, optimize=True)
