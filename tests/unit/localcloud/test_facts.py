"""The table of facts: each fact is counted once, and stated by one test."""

from localcloud.coverage.facts import Fact, repeated, table


def fact(*, right: bool = True, note: str = "", test: str = "test_names", service: str = "EC2") -> Fact:
    return Fact(service=service, what="Names are checked", source="guide", right=right, note=note, test=test)


def test_cases_of_one_test_are_one_fact() -> None:
    text = table([fact(), fact(), fact(service="S3")])

    assert text.startswith("2 of 2 facts hold (100.0%).")
    assert text.count("| Names are checked | right | guide | `test_names` |  |") == 2


def test_a_fact_is_right_only_if_all_its_cases_are() -> None:
    text = table([fact(), fact(right=False, note="spaces pass"), fact()])

    assert text.startswith("0 of 1 facts hold (0.0%).")
    assert "| Names are checked | **wrong** | guide | `test_names` | spaces pass |" in text


def test_a_fact_that_two_tests_state_is_found() -> None:
    assert repeated([fact(), fact(), fact(test="test_tags", service="S3")]) == []
    assert repeated([fact(), fact(test="test_tags")]) == ["EC2: 'Names are checked', by test_names, test_tags"]
