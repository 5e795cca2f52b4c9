"""Pagination with AWS's page sizes, which moto lacks or gets wrong."""

import sys
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidParameterValue

from localcloud.ec2 import exceptions
from localcloud.pages import page


def paged(
    action: str, whole: Callable[[Any], ActionResult], key: str, smallest: int, largest: int
) -> Callable[[Any], ActionResult]:
    """Return an action that returns one page of another action's whole result.

    A request that names no size gets the largest page: AWS promises such a request no more than that.

    Args:
        action: The name of moto's method for the action.
        whole: moto's action, which returns the whole list here.
        key: Where its answer has the list.
        smallest: What MaxResults may be at least.
        largest: What MaxResults may be at most.
    """

    def one_page(self: Any) -> ActionResult:
        size = self._get_int_param("MaxResults", largest)
        if not smallest <= size <= largest:
            raise InvalidParameterValue(
                f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value from {smallest} to {largest}."
            )
        token = self._get_param("NextToken")
        self.params.pop("NextToken", None)
        self.params["MaxResults"] = sys.maxsize
        answer: Any = whole(self).result
        shown, following = page(answer[key], size, token, exceptions.invalid_next_token)
        return ActionResult({**answer, key: shown, "NextToken": following})

    one_page.__name__ = action
    return one_page
