"""What a case is: a situation, what must hold in it, and how it is brought about."""

from collections.abc import Callable
from dataclasses import dataclass

from prove.result import Findings
from prove.scene import Scene


@dataclass(frozen=True)
class Case:
    """One row of the proof.

    Args:
        name: for the command line and for file names.
        title: the situation.
        must_hold: what is promised of it, for people.
        run: brings the situation about, under load, and says what was found. What it raises is a red row.
        lossless: not one request may fail; false where AWS's own load balancer would lose some, too.
    """

    name: str
    title: str
    must_hold: str
    run: Callable[[Scene], Findings]
    lossless: bool = True
