"""Reports by the exit status whether the service works: the running one, or with `--self-test` one of its own."""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

from .settings import ROOT, Settings, SettingsError

TIMEOUT_SECONDS = 10.0
"""For each single step: the start, an answer, the stop."""


class UnhealthyError(Exception):
    """Raised when the service does not answer as it should."""


def check(port: int, version: str) -> None:
    """Check that the service on the loopback `port` is healthy and runs `version`.

    Raises:
        UnhealthyError: with what it answered instead.
    """
    _get(port, "/healthz")
    found = json.loads(_get(port, "/version")).get("version")
    if found != version:
        raise UnhealthyError(f"/version says {found!r}, but {version!r} is installed here")


def self_test(environ: Mapping[str, str], version: str) -> None:
    """Start the service on a free port of the loopback interface, check it, and stop it.

    Raises:
        UnhealthyError: it did not start, answer or stop as it should.
    """
    settings = {"WEBAPP_BIND": "127.0.0.1", "WEBAPP_PORT": "0", "WEBAPP_DRAIN_SECONDS": "0", "WEBAPP_SELF_TEST": "1"}
    ours = {name: value for name, value in environ.items() if name != "NOTIFY_SOCKET"}
    service = subprocess.Popen(
        [str(ROOT / "bin" / "webapp")], env={**ours, **settings}, stdout=subprocess.PIPE, text=True
    )
    try:
        check(_port(service), version)
        service.send_signal(signal.SIGTERM)
        status = service.wait(TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnhealthyError(f"did not stop within {TIMEOUT_SECONDS:g} s of SIGTERM") from error
    finally:
        service.kill()
        service.communicate()
    if status != 0:
        raise UnhealthyError(f"ended with exit status {status} after SIGTERM")


def _port(service: subprocess.Popen[str]) -> int:
    """Return the port that the service says it listens on."""
    if service.stdout is None:
        raise UnhealthyError("did not start: it has no output")
    with selectors.DefaultSelector() as selector:
        selector.register(service.stdout, selectors.EVENT_READ)
        if not selector.select(TIMEOUT_SECONDS):
            raise UnhealthyError(f"did not start within {TIMEOUT_SECONDS:g} s")
    line = service.stdout.readline().strip()
    port = line.rpartition(":")[2]
    if not port.isdigit():
        raise UnhealthyError(f"did not start; it said {line!r}")
    return int(port)


def _get(port: int, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        raise UnhealthyError(f"no answer to {path} on port {port}: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        said = body.decode(errors="replace").strip()
        raise UnhealthyError(f"{path} on port {port} answered {response.status}: {said}")
    return body


def main(arguments: list[str] | None = None) -> int:
    """Check the service; return 0 if it works, else 1."""
    parser = argparse.ArgumentParser(prog="healthcheck", description=__doc__)
    parser.add_argument("--self-test", action="store_true", help="start the service for the check; none needs to run")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.read(os.environ)
        if options.self_test:
            self_test(os.environ, settings.version)
        else:
            check(settings.port, settings.version)
    except (SettingsError, UnhealthyError) as error:
        print(f"healthcheck: webapp: {error}", file=sys.stderr)
        return 1
    print(f"healthcheck: webapp {settings.version} works")
    return 0


if __name__ == "__main__":
    sys.exit(main())
