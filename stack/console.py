"""Progress, as lines with the seconds since the command, or the make that called it, began."""

import os
import threading
import time
from collections.abc import Iterable, Sequence

# Make passes when it began, so that what it did before us counts.
_BEGAN = time.monotonic() - max(0.0, time.time() - float(os.environ.get("REBAKE_BEGAN") or time.time()))
_LOCK = threading.Lock()


def step(message: str) -> None:
    """Print what happens now."""
    with _LOCK:
        print(f"==> [{time.monotonic() - _BEGAN:3.0f} s] {message}", flush=True)


def detail(message: str) -> None:
    """Print a line that belongs to the step before it."""
    with _LOCK:
        print(f"    {message}", flush=True)


def elapsed() -> float:
    """Return the seconds since the command began."""
    return time.monotonic() - _BEGAN


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay rows out in columns, the first to the left and the others to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = row
        return "  ".join(
            [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        ).rstrip()

    return "\n".join([line(cells[0]), "  ".join("-" * width for width in widths), *(line(row) for row in cells[1:])])
