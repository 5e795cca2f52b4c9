"""Pages of lists, whose tokens name the number of the item that comes next."""

from collections.abc import Callable, Sequence
from typing import Any


def page(
    items: Sequence[Any], size: int, token: str | None, unknown: Callable[[str], Exception]
) -> tuple[Sequence[Any], str | None]:
    """Return a page of a list, and the token of the next one, if there is one.

    Args:
        items: The whole list.
        size: How many items a page has at most.
        token: What the page before gave; none for the first page.
        unknown: Makes the service's error for a token that no earlier page gave.
    """
    prefix, _, number = (token or "from-0").partition("-")
    if prefix != "from" or not number.isdecimal():
        raise unknown(str(token))
    first = int(number)
    following = first + size
    return items[first:following], f"from-{following}" if following < len(items) else None
