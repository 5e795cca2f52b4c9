"""The commands behind the Makefile's targets: `python -m stack VERB`."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable

from rebake import config
from rebake.estate.report import KINDS
from rebake.release.record import ReleaseOutcome
from rebake.release.stage import Stage
from stack import demo, demo_estate, fault, follow, lineage, osimage, report, revoke, rollback, status, up
from stack.airflow import COMPONENTS
from stack.engine import Engine
from stack.errors import InputError, StackError
from stack.layout import Layout
from stack.processes import Process

LOGS = (*COMPONENTS, "localcloud", "engine")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 failed, 2 wrong input, 3 superseded, 130 interrupted."""
    options = _parser().parse_args(arguments)
    os.umask(0o022)
    try:
        return options.run(Layout.here(), options) or 0
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output, such as `head`, has closed it. Python would print an error at its end otherwise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stack", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[Layout, argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    verb("up", _up, "start the container engine, the embedded cloud and Airflow")
    verb("down", _down, "stop everything and check that nothing is left")
    verb("clean", _clean, "down, and remove everything that was made in this folder")
    verb("image", _image, "build the instances' operating system image, if it is not there")
    verb("engine", _engine, "start the container engine alone and print its settings for tests")
    made = verb("demo", _demo, "deploy twice, the second time under load")
    made.add_argument("--rate", type=float, default=50, help="requests a second (default: %(default)s)")
    verb("demo-estate", _demo_estate, "rebuild a base, retire images, repair drift and revoke an image")
    made = verb("deploy", _deploy, "deploy a version of a service and watch")
    made.add_argument("version")
    made.add_argument("--service", default="", help=f"{demo.SERVICE} if left out, or the only one there is")
    made.add_argument("--commit", default="", help="commit that the version was built from")
    made.add_argument("--build-id", default="", help="build that made the artifact")
    made.add_argument("--ami-id", default="", help="deploy this image of ours instead of baking one")
    made.add_argument("--force-bake", action="store_true", help="bake even if the same image exists")
    made = verb("rollback", _rollback, "roll a service back to an earlier release and watch")
    made.add_argument("--to", default="", help="id, version or image of the release; the one before if left out")
    made.add_argument("--service", default="", help=f"{demo.SERVICE} if left out, or the only one there is")
    made = verb("revoke", _revoke, "forbid releases of an image and of all that was baked on it")
    made.add_argument("ami", help="id of the image")
    made.add_argument("--reason", default="", help="required without --undo")
    made.add_argument("--undo", action="store_true", help="allow releases again")
    made = verb("lineage", _lineage, "print a release's whole record, found by any of its ids")
    made.add_argument("of", help="commit, version, release id, image, refresh or instance")
    made.add_argument("--service", default="", help="search this one only")
    made.add_argument("--format", choices=("text", "json"), default="text")
    made = verb("status", _status, "print what runs")
    made.add_argument("--format", choices=("text", "json"), default="text")
    made = verb("report", _report, "print the newest report on the estate")
    made.add_argument("kind", help=", ".join(KINDS))
    made.add_argument("--format", choices=report.FORMATS, default="text")
    made = verb("fault", _fault, "make the embedded cloud fail on demand")
    made.add_argument("settings", nargs="*", help="KIND=… and its settings, LIST=1, or CLEAR=1", metavar="NAME=value")
    made = verb("logs", _logs, "print the end of the logs")
    made.add_argument("component", nargs="?", default="", help=", ".join(LOGS))
    made.add_argument("--lines", type=int, default=40)
    return parser


def _up(layout: Layout, _: argparse.Namespace) -> None:
    up.up(layout)


def _down(layout: Layout, _: argparse.Namespace) -> None:
    up.down(layout)


def _clean(layout: Layout, _: argparse.Namespace) -> None:
    up.clean(layout)


def _image(layout: Layout, _: argparse.Namespace) -> None:
    engine = Engine(layout)
    started = not engine.answers()
    engine.start()
    osimage.ensure(layout, engine)
    if started:
        engine.stop()


def _engine(layout: Layout, _: argparse.Namespace) -> None:
    engine = Engine(layout)
    started = not engine.answers()
    with contextlib.redirect_stdout(sys.stderr):
        engine.start()
        image = osimage.ensure(layout, engine)
    # Read by .ci/test, which stops the engine only if this has started it.
    print(f"REBAKE_ENGINE={engine.url}\nREBAKE_OS_IMAGE={image}\nREBAKE_ENGINE_STARTED={'yes' if started else 'no'}")


def _demo(layout: Layout, options: argparse.Namespace) -> int:
    return 0 if demo.run(layout, options.rate) else 1


def _demo_estate(layout: Layout, _: argparse.Namespace) -> int:
    return 0 if demo_estate.run(layout) else 1


def _deploy(layout: Layout, options: argparse.Namespace) -> int:
    stack = up.connect(layout)
    service = _service(options.service)
    follow.check(service, options.version)
    conf = {
        "version": options.version,
        "commit": options.commit,
        "build_id": options.build_id,
        "ami_id": options.ami_id,
        "force_bake": options.force_bake,
    }
    outcome = follow.run(stack.api, f"deploy_{service}", {key: value for key, value in conf.items() if value})
    return _end(stack, outcome, f"{service} {options.version}")


def _rollback(layout: Layout, options: argparse.Namespace) -> int:
    stack = up.connect(layout)
    service = _service(options.service)
    if options.to:
        rollback.check(stack, service, options.to)
    outcome = follow.run(stack.api, f"rollback_{service}", {"release": options.to} if options.to else {})
    chosen = stack.api.xcom(outcome.dag_id, outcome.run_id, Stage.CHOOSE_RELEASE) or {}
    release = chosen.get("release_id") or options.to or "the release before"
    return _end(stack, outcome, f"{service} back to {release}")


def _revoke(layout: Layout, options: argparse.Namespace) -> int:
    ami, reason = revoke.check(options.ami, options.reason, undo=options.undo)
    return 0 if revoke.run(up.connect(layout), ami, reason, undo=options.undo) else 1


def _service(requested: str) -> str:
    services = config.service_names()
    # The default is the sample service, or the only one there is.
    service = requested or next((name for name in services if name == demo.SERVICE or len(services) == 1), "")
    if not service:
        raise InputError(f"name a service: SERVICE={'|'.join(services)}")
    if service not in services:
        raise InputError(f"no service {service!r}: one of {', '.join(services)}")
    return service


def _end(stack: up.Stack, outcome: follow.RunOutcome, what: str) -> int:
    """Print how a run ended; return 0 if it did what it was to do, 3 if a later run took over."""
    ended = stack.api.xcom(outcome.dag_id, outcome.run_id, Stage.FINALIZE)
    is_superseded = outcome.state == "success" and ended == ReleaseOutcome.SUPERSEDED
    end = "superseded by a later run" if is_superseded else outcome.state
    print(f"{what}: {end} after {outcome.seconds:.0f} s")
    return 3 if is_superseded else int(outcome.state != "success")


def _lineage(layout: Layout, options: argparse.Namespace) -> None:
    print(lineage.run(up.connect(layout), options.of, options.service, options.format))


def _status(layout: Layout, options: argparse.Namespace) -> None:
    found = status.collect(up.connect(layout))
    print(json.dumps(found, indent=2) if options.format == "json" else status.render(found))


def _report(layout: Layout, options: argparse.Namespace) -> None:
    print(report.run(up.connect(layout), options.kind, options.format))


def _fault(layout: Layout, options: argparse.Namespace) -> None:
    given = fault.parse(options.settings)  # first, so that the help works while nothing runs
    print(fault.run(up.connect(layout).cloud, given))


def _logs(layout: Layout, options: argparse.Namespace) -> None:
    if options.component and options.component not in LOGS:
        raise InputError(f"no component {options.component!r}: one of {', '.join(LOGS)}")
    for name in (options.component,) if options.component else LOGS:
        process = Process(layout, name)
        print(f"==> {process.log}\n{process.tail(options.lines)}\n")


if __name__ == "__main__":
    sys.exit(main())
