"""The calls that retirement makes, and what it makes of AWS's refusals."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from rebake.hooks.retirement import RetirementHook
from tests.unit.estate.estate_support import ACCOUNT, image

OLD = image("ami-old", snapshots=("snap-1", "snap-2"))


@pytest.fixture
def hook() -> RetirementHook:
    return RetirementHook(aws_conn_id=None, region_name="eu-west-1")


@pytest.fixture
def aws(hook: RetirementHook) -> Iterator[Stubber]:
    """What AWS answers; every call must be expected, and every expected call made."""
    with Stubber(hook.ec2) as stub:
        yield stub
        stub.assert_no_pending_responses()


def deletes(aws: Stubber, snapshot_id: str) -> None:
    aws.add_response("delete_snapshot", {}, {"SnapshotId": snapshot_id})


def test_an_image_is_deprecated_minutes_ahead_in_whole_minutes(hook: RetirementHook, aws: Stubber) -> None:
    at = datetime(2026, 6, 1, 4, 33, tzinfo=UTC)
    aws.add_response("enable_image_deprecation", {"Return": True}, {"ImageId": "ami-old", "DeprecateAt": at})

    assert hook.deprecate(OLD, datetime(2026, 6, 1, 4, 30, 59, tzinfo=UTC)) == at


def test_an_image_goes_with_all_its_snapshots(hook: RetirementHook, aws: Stubber) -> None:
    aws.add_response("deregister_image", {}, {"ImageId": "ami-old"})
    deletes(aws, "snap-1")
    deletes(aws, "snap-2")

    assert hook.deregister(OLD) == []


def test_a_snapshot_that_is_in_use_is_reported_and_the_others_go(hook: RetirementHook, aws: Stubber) -> None:
    aws.add_response("deregister_image", {}, {"ImageId": "ami-old"})
    aws.add_client_error("delete_snapshot", "InvalidSnapshot.InUse", expected_params={"SnapshotId": "snap-1"})
    deletes(aws, "snap-2")

    assert hook.deregister(OLD) == ["snap-1"]


@pytest.mark.parametrize("code", ["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"])
def test_what_an_earlier_try_has_removed_is_no_error(hook: RetirementHook, aws: Stubber, code: str) -> None:
    aws.add_client_error("deregister_image", code)
    aws.add_client_error("delete_snapshot", "InvalidSnapshot.NotFound")
    deletes(aws, "snap-2")

    assert hook.deregister(OLD) == []


def test_throttling_is_waited_out(hook: RetirementHook, aws: Stubber) -> None:
    for _ in range(3):
        aws.add_client_error("disable_image", "RequestLimitExceeded", http_status_code=503)
    aws.add_response("disable_image", {"Return": True}, {"ImageId": "ami-old"})

    hook.disable(OLD)


def test_template_versions_are_deleted_two_hundred_at_a_time(hook: RetirementHook, aws: Stubber) -> None:
    for first, last in ((1, 200), (201, 250)):
        numbers = [str(number) for number in range(first, last + 1)]
        aws.add_response("delete_launch_template_versions", {}, {"LaunchTemplateId": "lt-1", "Versions": numbers})

    assert hook.delete_versions("lt-1", range(1, 251)) == {}


def test_a_template_version_that_aws_does_not_delete_is_reported_and_one_that_is_gone_is_not(
    hook: RetirementHook, aws: Stubber
) -> None:
    def refused(number: int, code: str) -> dict[str, Any]:
        return {
            "LaunchTemplateId": "lt-1",
            "VersionNumber": number,
            "ResponseError": {"Code": code, "Message": "because"},
        }

    aws.add_response(
        "delete_launch_template_versions",
        {
            "UnsuccessfullyDeletedLaunchTemplateVersions": [
                refused(1, "launchTemplateVersionDoesNotExist"),
                refused(2, "unexpectedError"),
            ]
        },
    )

    assert hook.delete_versions("lt-1", [1, 2, 3]) == {2: "unexpectedError: because"}


def test_whoever_may_launch_an_image_or_read_its_snapshots_is_named(hook: RetirementHook, aws: Stubber) -> None:
    shares = [{"UserId": "210987654321"}, {"UserId": ACCOUNT}, {"OrganizationArn": "arn:aws:organizations::1:o"}]
    aws.add_response("describe_image_attribute", {"LaunchPermissions": shares})
    aws.add_response("describe_snapshot_attribute", {"CreateVolumePermissions": [{"Group": "all"}]})
    aws.add_client_error("describe_snapshot_attribute", "InvalidSnapshot.NotFound")

    assert hook.shared_with(OLD) == ["210987654321", "all", "arn:aws:organizations::1:o"]


def test_an_image_that_only_its_owner_may_launch_is_not_shared(hook: RetirementHook, aws: Stubber) -> None:
    aws.add_response("describe_image_attribute", {"LaunchPermissions": []})
    for _ in OLD.snapshots:
        aws.add_response("describe_snapshot_attribute", {})

    assert hook.shared_with(OLD) == []
