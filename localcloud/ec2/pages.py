"""Pagination with AWS's page sizes, which moto lacks or gets wrong."""

from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import InvalidParameterValue

from localcloud import pages
from localcloud.ec2 import exceptions

PAGES = {
    "DescribeImages": ("Images", 1, 1000),
    "DescribeInstanceStatus": ("InstanceStatuses", 5, 1000),
    "DescribeInstances": ("Reservations", 5, 1000),
    "DescribeLaunchTemplates": ("LaunchTemplates", 1, 200),
    "DescribeLaunchTemplateVersions": ("LaunchTemplateVersions", 1, 200),
    "DescribeNetworkInterfaces": ("NetworkInterfaces", 5, 1000),
    "DescribeSecurityGroups": ("SecurityGroups", 5, 1000),
    "DescribeSnapshots": ("Snapshots", 5, 1000),
    "DescribeVolumes": ("Volumes", 5, 1000),
}
"""For each action: where its answer has the list, and what MaxResults may be at least and at most.

A request that names no size gets the largest page: AWS promises such a request no more than that.
"""


def paged(whole: Callable[[Any], Any], key: str, smallest: int, largest: int) -> Callable[[Any], Any]:
    """Return an action that returns one page of the whole list of another; see `PAGES`."""

    def size(requested: int | None) -> int:
        size = largest if requested is None else requested
        if not smallest <= size <= largest:
            raise InvalidParameterValue(
                f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value from {smallest} to {largest}."
            )
        return size

    return pages.paged(whole, key, "MaxResults", size, exceptions.invalid_next_token)
