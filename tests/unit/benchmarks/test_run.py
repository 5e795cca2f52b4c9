"""The page of results: each part replaces its own, and leaves the others."""

from benchmarks.estate_sizes import Size
from benchmarks.run import HEAD, replace


def test_a_part_is_added_and_then_replaced_alone() -> None:
    page = replace(replace(HEAD, "demo", "old \\1 demo"), "estate", "estate")

    again = replace(page, "demo", "new \\2 demo")

    assert "old" not in again
    assert again.count("new \\2 demo") == again.count("\nestate\n") == 1
    assert again.startswith("# Measured")


def test_an_estate_is_as_large_as_it_says() -> None:
    large = Size(10_000)

    assert (len(large.services), large.instances) == (300, 3_000)
    made = len(large.services) * large.images_of_a_service + len(large.families) * large.images_of_a_base
    assert made == 10_000
