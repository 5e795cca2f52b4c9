"""`python -m prove [CASE...]`: run the cases for real, and write the document with the measurements."""

import argparse
import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence

from examples.webapp.build import build
from prove import document, measure, timeline
from prove.case import Case
from prove.cases import CASES
from prove.result import CaseResult
from prove.scene import SERVICE, Scene, artifacts
from stack import follow, up
from stack.console import elapsed, step
from stack.engine import Engine
from stack.errors import InputError, StackError
from stack.layout import Layout
from stack.up import Stack

BASE = "debian-12"
FIRST = "1.0.0"


def main(arguments: list[str] | None = None) -> int:
    """Run the requested cases; return 0 if every case that ran is green, 1 if one is red, 2 for wrong input."""
    parser = argparse.ArgumentParser(prog="prove", description=__doc__)
    parser.add_argument("cases", nargs="*", help=", ".join(case.name for case in CASES), metavar="CASE")
    parser.add_argument("--keep", action="store_true", help="use the stack that an earlier --keep left, and leave it")
    parser.add_argument("--document", action="store_true", help="run nothing: draw and write from what is kept")
    parser.add_argument("--stack", default="prove", help="name of the stack (default: %(default)s)")
    options = parser.parse_args(arguments)
    layout = Layout.here(options.stack)
    os.umask(0o022)
    try:
        chosen = _choose(options.cases)
        greens = [] if options.document else _run_all(layout, chosen, keep=options.keep)
        _write(layout, chosen)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return int(not all(greens))


def _choose(names: Sequence[str]) -> list[Case]:
    by_name = {case.name: case for case in CASES}
    for name in names:
        if name not in by_name:
            raise InputError(f"no case {name!r}: one of {', '.join(by_name)}")
    return [case for case in CASES if not names or case.name in names]


def _run_all(layout: Layout, cases: Sequence[Case], *, keep: bool) -> list[bool]:
    """Run the cases one after the other, and return for each whether it is green."""
    results, figures = layout.shared / "prove", layout.project / "docs" / "proof"
    greens = []
    with _own_stack(layout, keep=keep) as stack:
        _prepare(stack)
        for case in cases:
            result = measure.run(case, Scene(stack, results), figures)
            result.save(results)
            greens.append(result.green)
            for check in result.findings.checks:
                print(f"    {'ok ' if check.ok else 'RED'} {check.what}: {check.measured}", flush=True)
            step(f"{case.name}: {'green' if result.green else 'RED'} after {result.seconds:.0f} s")
    step(f"{sum(greens)} of {len(greens)} cases are green, {elapsed() / 60:.0f} min in all")
    return greens


@contextlib.contextmanager
def _own_stack(layout: Layout, *, keep: bool) -> Iterator[Stack]:
    """Bring up a stack beside the clone's own, with a copy of the configuration, and take it down at the end.

    The container engine is shared with the clone's own stack: it is stopped only if it was not running before.
    """
    engine, config = Engine(layout), layout.state / "config"
    was_running = engine.answers()
    if not keep or not config.is_dir():
        up.down(layout)
        shutil.rmtree(layout.state, ignore_errors=True)
    shutil.copytree(layout.project / "config", config, dirs_exist_ok=True)
    path = config / "services" / f"{SERVICE}.yaml"
    folder = artifacts(layout).relative_to(layout.project)
    path.write_text(re.sub(r"^artifact: build/", f"artifact: {folder}/", path.read_text(), flags=re.MULTILINE))
    os.environ["REBAKE_CONFIG"] = str(config)
    try:
        yield up.up(layout)
    finally:
        if not keep:
            up.down(layout)
            shutil.rmtree(layout.state, ignore_errors=True)
            if not was_running:
                engine.stop()


def _prepare(stack: Stack) -> None:
    """Make sure that a first version of the service runs."""
    if Scene(stack, stack.layout.shared).service().get("url"):
        return
    build(FIRST, artifacts(stack.layout))
    for dag_id, conf in (("rebuild_base_image", {"base": BASE}), (f"deploy_{SERVICE}", {"version": FIRST})):
        if follow.run(stack.api, dag_id, conf).state != "success":
            raise StackError(f"{dag_id} failed, so nothing can be proved")


def _write(layout: Layout, drawn: Sequence[Case]) -> None:
    """Draw the cases that ran, and write the document from all stored results."""
    docs = layout.project / "docs"
    figures = docs / "proof"
    results = {case.name: CaseResult.load_from(layout.shared / "prove", case.name) for case in CASES}
    found = {name: result for name, result in results.items() if result}
    for case in drawn:
        if case.name in found:
            timeline.draw(found[case.name], case.title, figures / f"{case.name}.csv", figures / f"{case.name}.png")
    (docs / "proof.md").write_text(document.render(CASES, found))
    step("written: docs/proof.md, and docs/proof/ with a picture and a table for each case")


if __name__ == "__main__":
    sys.exit(main())
