"""No request carries more than AWS takes."""

from __future__ import annotations

from botocore.stub import Stubber

from rebake.hooks.image import ImageHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.limits import batches

IDS = [f"i-{number:017x}" for number in range(450)]
CONNECTION = {"aws_conn_id": None, "region_name": "eu-west-1"}


def test_values_are_cut_into_batches_in_their_order() -> None:
    assert list(batches([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(batches([], 2)) == []


def test_the_images_of_many_instances_take_a_request_for_200_of_them() -> None:
    hook = InstanceHook(**CONNECTION)
    with Stubber(hook.ec2) as stub:
        for batch in (IDS[:200], IDS[200:400], IDS[400:]):
            instances = [{"InstanceId": one, "ImageId": f"ami-{one[2:]}"} for one in batch]
            stub.add_response(
                "describe_instances",
                {"Reservations": [{"Instances": instances}]},
                {"Filters": [{"Name": "instance-id", "Values": batch}]},
            )

        found = hook.images(IDS)
        stub.assert_no_pending_responses()

    assert found == {one: f"ami-{one[2:]}" for one in IDS}


def test_many_images_take_a_request_for_200_of_them() -> None:
    hook = ImageHook(**CONNECTION)
    with Stubber(hook.ec2) as stub:
        for batch in (IDS[:200], IDS[200:400], IDS[400:]):
            stub.add_response(
                "describe_images",
                {"Images": [{"ImageId": one} for one in batch]},
                {
                    "Owners": ["self"],
                    "IncludeDeprecated": True,
                    "IncludeDisabled": True,
                    "MaxResults": 1000,
                    "Filters": [{"Name": "image-id", "Values": batch}],
                },
            )

        found = hook.own(IDS)
        stub.assert_no_pending_responses()

    assert [one.id for one in found] == IDS
