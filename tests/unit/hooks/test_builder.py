from typing import Any

import pytest
from botocore.stub import Stubber

from rebake import tags
from rebake.hooks.builder import BuilderHook

RUN = "deploy_webapp/manual__1"


@pytest.fixture
def hook(ec2: Any) -> BuilderHook:
    return BuilderHook(aws_conn_id=None, region_name="eu-west-1")


def _tags(kind: str, run: str) -> list[dict[str, str]]:
    return [{"Key": tags.KIND, "Value": kind}, {"Key": tags.DAG_RUN, "Value": run}]


def _builder(ec2: Any, name: str, kind: str = tags.KIND_BUILDER, run: str = RUN) -> tuple[str, str]:
    """Make what a build of Packer has while it runs; return the ids of instance and security group."""
    ec2.create_key_pair(KeyName=name)
    group = ec2.create_security_group(GroupName=name, Description="Temporary group for Packer")["GroupId"]
    instance = ec2.run_instances(
        ImageId="ami-0123456789abcdef0",
        MinCount=1,
        MaxCount=1,
        KeyName=name,
        SecurityGroupIds=[group],
        TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(kind, run)}],
    )["Instances"][0]["InstanceId"]
    return instance, group


def _state(ec2: Any, instance: str) -> str:
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    state: str = found["State"]["Name"]
    return state


def _keys(ec2: Any) -> set[str]:
    return {key["KeyName"] for key in ec2.describe_key_pairs()["KeyPairs"]}


def _groups(ec2: Any) -> set[str]:
    return {group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]} - {"default"}


def test_the_instance_its_key_pair_and_its_security_group_go(ec2: Any, hook: BuilderHook) -> None:
    instance, _ = _builder(ec2, "packer_1")

    removed = hook.sweep(RUN, {}, 0.01)

    assert _state(ec2, instance) == "terminated"
    assert _keys(ec2) == set()
    assert _groups(ec2) == set()
    assert removed == [instance, "packer_1", "packer_1"]
    assert hook.sweep(RUN, {}, 0.01) == [], "a second sweep finds nothing"


def test_a_volume_that_lost_its_builder_goes(ec2: Any, hook: BuilderHook) -> None:
    def volume(run: str) -> str:
        made: str = ec2.create_volume(
            AvailabilityZone="eu-west-1a",
            Size=8,
            TagSpecifications=[{"ResourceType": "volume", "Tags": _tags(tags.KIND_BUILDER, run)}],
        )["VolumeId"]
        return made

    left, other = volume(RUN), volume("deploy_webapp/manual__2")

    hook.sweep(RUN, {}, 0.01)

    volumes = {one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]}
    assert left not in volumes
    assert other in volumes


@pytest.mark.parametrize(
    ("kind", "run"),
    [
        pytest.param(tags.KIND_BUILDER, "deploy_webapp/manual__2", id="the builder of another run"),
        pytest.param(tags.KIND_BUILDER, f"{RUN}0", id="a run whose id begins alike"),
        pytest.param(tags.KIND_PROBE, RUN, id="the run's probe"),
        pytest.param(tags.KIND_FLEET, RUN, id="an instance of a fleet"),
    ],
)
def test_what_is_not_the_runs_builder_stays(ec2: Any, hook: BuilderHook, kind: str, run: str) -> None:
    instance, _ = _builder(ec2, "packer_other", kind, run)

    assert hook.sweep(RUN, {}, 0.01) == []
    assert _state(ec2, instance) == "running"
    assert _keys(ec2) == {"packer_other"}
    assert _groups(ec2) == {"packer_other"}


def test_a_key_pair_or_group_of_another_name_stays_even_if_the_builder_uses_it(ec2: Any, hook: BuilderHook) -> None:
    _builder(ec2, "the-teams-own")

    hook.sweep(RUN, {"key_pair": ["the-teams-own"], "security_group": ["the-teams-own"]}, 0.01)

    assert _keys(ec2) == {"the-teams-own"}
    assert _groups(ec2) == {"the-teams-own"}


def test_a_run_id_with_wildcards_means_itself(ec2: Any, hook: BuilderHook) -> None:
    instance, _ = _builder(ec2, "packer_other")

    assert hook.sweep("deploy_*/manual__?", {}, 0.01) == []
    assert _state(ec2, instance) == "running"


def test_a_group_that_is_still_in_use_is_tried_again(hook: BuilderHook, pauses: list[float]) -> None:
    group = {"GroupId": "sg-1", "GroupName": "packer_1"}
    with Stubber(hook.conn) as stub:
        stub.add_response("describe_instances", {"Reservations": []})
        stub.add_response("describe_volumes", {"Volumes": []})
        stub.add_response("describe_security_groups", {"SecurityGroups": [group]})
        for _ in range(2):
            stub.add_client_error("delete_security_group", "DependencyViolation", "in use")
        stub.add_response("delete_security_group", {})
        stub.add_response("describe_key_pairs", {"KeyPairs": []})

        hook.sweep(RUN, {"security_group": ["packer_1"]}, 0.5)

        stub.assert_no_pending_responses()
    assert pauses == [0.5, 0.5]


@pytest.mark.parametrize(
    ("labels", "notes"),
    [
        pytest.param([], {"key_pair": ["packer_3"], "security_group": ["packer_4"]}, id="only the bake's notes know"),
        pytest.param(_tags(tags.KIND_BUILDER, RUN), {}, id="with the run's tags"),
    ],
)
def test_key_pair_and_group_without_an_instance_go(ec2: Any, hook: BuilderHook, labels: Any, notes: Any) -> None:
    def tagged(kind: str) -> dict[str, Any]:
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": labels}]} if labels else {}

    ec2.create_key_pair(KeyName="packer_3", **tagged("key-pair"))
    ec2.create_security_group(GroupName="packer_4", Description="Packer's", **tagged("security-group"))

    hook.sweep(RUN, notes, 0.01)

    assert (_keys(ec2), _groups(ec2)) == (set(), set())
