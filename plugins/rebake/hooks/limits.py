"""How much one request to AWS may carry."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

PAGE: Final = 1000
"""Resources in one page of an answer of EC2 at most; left alone, EC2 chooses a smaller number, or none."""
FILTER_VALUES: Final = 200
"""Values of one filter (EC2 User Guide, "Find your Amazon EC2 resources": 50 filters, 200 values each); EC2 answers
more with `FilterLimitExceeded`."""
TEMPLATE_VERSIONS: Final = 200
"""Versions in one DeleteLaunchTemplateVersions (EC2 API Reference), and in one page of the Describe calls."""
TAGGED_RESOURCES: Final = 200
"""Resources in one CreateTags or DeleteTags. EC2 takes 1,000 and its API Reference recommends smaller batches; one
resource that is gone fails its whole batch."""
PARAMETER_NAMES: Final = 10
"""Names in one GetParameters (Systems Manager API Reference)."""

_Value = TypeVar("_Value")


def batches(values: Sequence[_Value], size: int) -> Iterator[list[_Value]]:
    """Yield `values` in lists of at most `size`, in their order; nothing where there are none."""
    return (list(values[start : start + size]) for start in range(0, len(values), size))
