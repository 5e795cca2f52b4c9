"""Stands between a task and the program it runs, so that the program always gets to clean up.

Started by `rebake.tools.runner.process` as `python -I guardian.py GRACE PROGRAM ARGUMENT...`, in a session of its own.
The task holds the other end of its standard input. Whatever happens to the task, the program gets one SIGTERM:

* SIGTERM to the guardian, or end of file on standard input (the task is gone, even by SIGKILL), sends one
  SIGTERM to the program. One, because a second one makes Terraform drop everything; to the program alone,
  because a SIGTERM kills its plugins, which it needs to clean up.
* After GRACE seconds the program's whole process group gets SIGKILL.

Why not the task itself: Airflow gives a task that it kills five seconds, and then it is gone. Packer needs
longer to terminate its builder, and no process would be left to end a program that hangs.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""From <linux/prctl.h>: the signal a process gets when its parent ends."""

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _die_with_guardian() -> None:
    """Ask Linux to send SIGTERM to the program when the guardian itself is killed. Runs in the child, before exec."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def main(arguments: list[str]) -> int:
    """Run the program and return its exit status, 128 + n where signal n ended it.

    Args:
        arguments: the grace period in seconds, the program, and the program's arguments.
    """
    grace, command = float(arguments[0]), arguments[1:]
    pid = 0  # of the program, once it runs
    stopping = signalled = False

    def stop(_signum: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        signal_program()

    def signal_program() -> None:
        nonlocal signalled
        if pid and not signalled:
            signalled = True
            signal.setitimer(signal.ITIMER_REAL, grace)
            os.kill(pid, signal.SIGTERM)

    def give_up(_signum: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, give_up)
    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, stop)
    program = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_die_with_guardian if sys.platform == "linux" else None,  # noqa: PLW1509 - no thread runs yet
    )
    pid = program.pid
    if stopping:  # a signal came between the two lines above
        signal_program()

    def watch_the_task() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch_the_task, daemon=True).start()

    # The program stays a zombie until its group is empty, so that its number cannot be another process's by then.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for late in (*STOP_SIGNALS, signal.SIGALRM):
        signal.signal(late, signal.SIG_IGN)
    give_up(0, None)
    status = program.wait()
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
