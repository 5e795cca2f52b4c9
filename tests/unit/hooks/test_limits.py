"""No request carries more than AWS takes."""

import pytest
from botocore.stub import Stubber

from rebake.hooks.image import ImageHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.limits import batches
from tests.support.aws import CONNECTION

IDS = [f"i-{number:017x}" for number in range(450)]


def test_values_are_cut_into_batches_in_their_order() -> None:
    assert list(batches([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(batches([], 2)) == []


OWN = {"Owners": ["self"], "IncludeDeprecated": True, "IncludeDisabled": True, "MaxResults": 1000}


@pytest.mark.parametrize("what", ["instance", "image"])
def test_many_are_described_by_a_request_for_200_of_them(what: str) -> None:
    hook: InstanceHook | ImageHook = InstanceHook(**CONNECTION) if what == "instance" else ImageHook(**CONNECTION)
    with Stubber(hook.ec2) as stub:
        for batch in (IDS[:200], IDS[200:400], IDS[400:]):
            described = [
                {"InstanceId": one, "ImageId": one} if what == "instance" else {"ImageId": one} for one in batch
            ]
            answer = {"Reservations": [{"Instances": described}]} if what == "instance" else {"Images": described}
            filters = {"Filters": [{"Name": f"{what}-id", "Values": batch}], **(OWN if what == "image" else {})}
            stub.add_response(f"describe_{what}s", answer, filters)

        found = hook.images(IDS) if isinstance(hook, InstanceHook) else {one.id: one.id for one in hook.own(IDS)}
        stub.assert_no_pending_responses()

    assert found == {one: one for one in IDS}
