"""`make fault` reports what it did, and what is wrong with what it was given."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.faults import kinds
from stack import __main__ as command
from stack import fault
from stack.errors import InputError, StackError
from tests.localcloud.fault_support import Api, running_api


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with running_api() as running:
        yield running


@pytest.fixture
def api(server: Api) -> Iterator[Api]:
    yield server
    server.admin("DELETE")


def cloud_at(url: str) -> Any:
    return SimpleNamespace(settings=SimpleNamespace(cloud_url=url))


def run(api: Api, *arguments: str) -> str:
    return fault.run(cloud_at(api.url), fault.parse(arguments))


def test_a_fault_is_made_listed_and_cleared(api: Api) -> None:
    made = run(api, "KIND=throttle", "ACTION=ec2:Describe*,elbv2:*", "RATE=1", "LIMIT=1")
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        api.client("ec2").describe_instances()
    listed = run(api, "LIST=1")
    cleared = run(api, "CLEAR=1")

    assert made.splitlines() == [
        "throttle-1: requests are refused with the service's own throttling code",
        "ACTION=ec2:Describe*,elasticloadbalancing:* RATE=1 LIMIT=1",
    ]
    assert [" ".join(line.split()) for line in listed.splitlines()[2:]] == [
        "throttle-1 used up 1 requests ACTION=ec2:Describe*,elasticloadbalancing:* RATE=1 LIMIT=1",
        "1 x ec2:DescribeInstances",
    ]
    assert (cleared, run(api, "LIST=1")) == ("no fault is left", "there are no faults")


def test_what_make_prints_of_a_fault_makes_it_again(api: Api) -> None:
    arguments = ["KIND=service-dies", "TAGS=rebake:kind=fleet,rebake:version=1.1.0", "SECONDS=20", "SERVICE=webapp"]
    shown = run(api, *arguments).splitlines()[1]

    again = run(api, "KIND=service-dies", *shown.split()).splitlines()[1]

    assert again == shown


def test_one_fault_can_be_cleared_by_its_id(api: Api) -> None:
    for _ in range(2):
        run(api, "KIND=refresh-stalls")

    assert run(api, "CLEAR=refresh-stalls-1") == "refresh-stalls-1 is removed"
    assert [each["id"] for each in api.admin("GET")] == ["refresh-stalls-2"]
    with pytest.raises(InputError, match="no fault 'refresh-stalls-1'; there are: refresh-stalls-2"):
        run(api, "CLEAR=refresh-stalls-1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of KIND, LIST, CLEAR: make fault KIND="),
        (["KIND="], "the kinds are throttle, error, latency"),
        (["KIND=throttle", "LIST=1"], "give one of KIND, LIST: make fault KIND="),
        (["LIST=1", "RATE=0.3"], "LIST goes alone, without RATE"),
        (["throttle"], "'throttle' is not NAME=value"),
        (["KIND=flood"], "no kind of fault is 'flood': throttle, error"),
        (["KIND=throttle", "RAET=0.3"], "throttle takes no raet: it takes action, rate"),
        (["KIND=throttle", "RATE=30%"], "rate='30%' is wrong; it is how often of 1, above 0 and at most 1"),
        (["KIND=throttle", "ACTION=ecc:*"], "there is no service 'ecc': one of autoscaling"),
    ],
    ids=" ".join,
)
def test_wrong_input_is_one_message_and_exit_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found before any request is sent."""
    status = command.main(["fault", *arguments])
    error = capsys.readouterr().err

    assert status == 2
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_cloud_that_is_down_is_reported_with_the_command_that_starts_it() -> None:
    with pytest.raises(StackError, match=r"does not answer at .* `make up` starts it"):
        fault.run(cloud_at("http://127.0.0.1:1"), {"LIST": "1"})


def test_make_hands_on_what_it_was_given_and_nothing_of_its_own(project: Path) -> None:
    """The Makefile has a RATE for other targets, and the environment may have any name."""

    def printed(*arguments: str) -> str:
        make = ["make", "--dry-run", "--no-print-directory", "fault", *arguments]
        return subprocess.run(make, cwd=project, capture_output=True, text=True, check=True).stdout.splitlines()[-1]

    assert printed("KIND=throttle", "ACTION=ec2:* it's").endswith(r"fault 'ACTION=ec2:* it'\''s' 'KIND=throttle'")
    assert printed("LIST=1").endswith("-m stack fault 'LIST=1'")


def test_every_kind_and_setting_is_in_the_manual(project: Path) -> None:
    manual = (project / "docs" / "faults.md").read_text()

    for name, kind in kinds.KINDS.items():
        row = next(line for line in manual.splitlines() if line.startswith(f"| `{name}` |"))
        assert [setting for setting in kind.takes if f"`{setting.upper()}`" not in row] == []
    assert [setting for setting in kinds.SETTINGS if f"| `{setting.upper()}` |" not in manual] == []
