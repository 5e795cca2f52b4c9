"""Pages of lists, whose tokens name the number of the item that comes next."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from moto.core.responses import ActionResult


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


def paged(
    whole: Callable[[Any], ActionResult],
    key: str,
    parameter: str,
    size: Callable[[int | None], int],
    unknown: Callable[[str], Exception],
) -> Callable[[Any], ActionResult]:
    """Return an action that returns one page of the whole list that another action returns.

    Args:
        whole: The other action.
        key: Where its answer has the list.
        parameter: What names the size of a page.
        size: Returns the size for the requested one, if any, or refuses it.
        unknown: As in `page`.
    """

    def one_page(self: Any) -> ActionResult:
        wanted, token = size(self._get_int_param(parameter)), self._get_param("NextToken")
        self.params.pop("NextToken", None)
        self.params[parameter] = sys.maxsize
        answer: Any = whole(self).result
        shown, following = page(answer[key], wanted, token, unknown)
        return ActionResult({**answer, key: shown, "NextToken": following})

    return one_page
