"""What the embedded cloud emulates: declared beside the code, and rendered as a document.

Each part has a module `behaviours` of such declarations; `python -m localcloud.coverage` writes
`docs/localcloud-coverage.md` from them.
"""

from dataclasses import dataclass
from enum import StrEnum

GUIDE = "https://docs.aws.amazon.com/autoscaling/ec2/userguide"
REFERENCE = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference"
UNDOCUMENTED = "not documented; our decision"


class Emulated(StrEnum):
    """How far a behaviour is emulated."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


@dataclass(frozen=True)
class Behaviour:
    """One behaviour of AWS.

    Args:
        what: What AWS does.
        source: Where that is known from, in Markdown.
        test: The name of the test that shows it here; none where it is not emulated.
        emulated: How far.
        note: What is different here, or unknown of AWS.
        compared_with_aws: Whether the emulation was ever run beside AWS with the same requests.
    """

    what: str
    source: str
    test: str = ""
    emulated: Emulated = Emulated.YES
    note: str = ""
    compared_with_aws: bool = False


def guide(page: str) -> str:
    """Refer to a page of the Auto Scaling user guide."""
    return f"[user guide]({GUIDE}/{page}.html)"


def api(name: str) -> str:
    """Refer to an action or type of the Auto Scaling API's documentation."""
    return f"[API, {name}]({REFERENCE}/API_{name}.html)"


def absent(what: str, source: str, note: str) -> Behaviour:
    """Return a behaviour that is not emulated, and what happens instead."""
    return Behaviour(what, source, emulated=Emulated.NO, note=note)


def partial(what: str, source: str, test: str, note: str) -> Behaviour:
    """Return a behaviour that is emulated in part, and what is missing."""
    return Behaviour(what, source, test, Emulated.PARTLY, note)
