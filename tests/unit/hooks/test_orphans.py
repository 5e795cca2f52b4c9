"""What counts as temporary in an account, how it is removed, and whose locks on Terraform's states are whose."""

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rebake import tags
from rebake.estate.orphans import OrphanKind, Temporary
from rebake.hooks.orphans import LocksHook, OrphansHook
from tests.support.aws import BUCKET, CONNECTION, stubbed, tag_list

BUILDER = {tags.KIND: tags.KIND_BUILDER}
PACKERS = "packer_65e1c080-0123-4567-89ab-0123456789ab"
STATE = "terraform/webapp-local.tfstate"
HERE = f"airflow@{socket.gethostname()}"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _volume(ec2: Any, labels: dict[str, str]) -> str:
    volume_id: str = ec2.create_volume(Size=1, AvailabilityZone="eu-west-1a")["VolumeId"]
    ec2.create_tags(Resources=[volume_id], Tags=tag_list(labels))
    return volume_id


def _thing(kind: OrphanKind, thing_id: str, name: str = "") -> Temporary:
    return Temporary(kind, thing_id, name, BUILDER, None)


def test_volumes_and_snapshots_are_found_by_their_tag(ec2: Any) -> None:
    volume_id = _volume(ec2, BUILDER)
    other = _volume(ec2, {tags.KIND: tags.KIND_FLEET})
    snapshot_id, _ = (ec2.create_snapshot(VolumeId=one)["SnapshotId"] for one in (volume_id, other))
    ec2.create_tags(Resources=[snapshot_id], Tags=tag_list(BUILDER))
    hook = OrphansHook(**CONNECTION)

    assert [one.id for one in hook.find(OrphanKind.VOLUME)] == [volume_id]
    assert [one.id for one in hook.find(OrphanKind.SNAPSHOT)] == [snapshot_id]


def test_key_pairs_and_groups_are_found_by_their_names_with_the_instances_that_use_them(ec2: Any) -> None:
    for name in (PACKERS, "ours"):
        ec2.create_key_pair(KeyName=name)
    group_id = ec2.create_security_group(GroupName="rebake-probe-1", Description="probe")["GroupId"]
    options = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "KeyName": PACKERS, "SecurityGroupIds": [group_id]}
    user = ec2.run_instances(**options)["Instances"][0]["InstanceId"]
    hook = OrphansHook(**CONNECTION)

    assert [(one.name, one.users) for one in hook.find(OrphanKind.KEY_PAIR)] == [(PACKERS, (user,))]
    assert [(one.id, one.users) for one in hook.find(OrphanKind.SECURITY_GROUP)] == [(group_id, (user,))]


def test_a_thing_is_found_again_as_it_is_now_or_not_at_all(ec2: Any) -> None:
    hook, volume_id = OrphansHook(**CONNECTION), _volume(ec2, BUILDER)
    (found,) = hook.find(OrphanKind.VOLUME)
    ec2.create_tags(Resources=[volume_id], Tags=tag_list({"Name": "renamed"}))

    again = hook.find_again(found)
    hook.remove(found)

    assert again is not None
    assert again.name == "renamed"
    assert hook.find_again(found) is None


@pytest.mark.parametrize(
    ("thing", "operation", "code"),
    [
        (_thing(OrphanKind.INSTANCE, "i-1"), "terminate_instances", "InvalidInstanceID.NotFound"),
        (_thing(OrphanKind.VOLUME, "vol-1"), "delete_volume", "InvalidVolume.NotFound"),
        (_thing(OrphanKind.SECURITY_GROUP, "sg-1"), "delete_security_group", "InvalidGroup.NotFound"),
        (_thing(OrphanKind.KEY_PAIR, "key-1", PACKERS), "delete_key_pair", "InvalidKeyPair.NotFound"),
    ],
    ids=lambda value: str(value.kind) if isinstance(value, Temporary) else "",
)
def test_what_is_gone_already_is_no_error(thing: Temporary, operation: str, code: str) -> None:
    with stubbed("ec2") as (client, stubber):
        hook = OrphansHook(**CONNECTION)
        hook.__dict__["conn"] = client
        stubber.add_client_error(operation, code)

        assert hook.remove(thing) == ""


def _lock(s3: Any, state: str = STATE, who: str = HERE, created: datetime = NOW) -> None:
    lock = {"Who": who, "Created": created.isoformat(), "Operation": "OperationTypeApply", "ID": "1"}
    s3.put_object(Bucket=BUCKET, Key=f"{state}.tflock", Body=json.dumps(lock))


def test_the_locks_of_the_environments_states_are_found_with_their_holders(s3: Any) -> None:
    for state in (STATE, "terraform/webapp-production.tfstate"):
        _lock(s3, state)
    s3.put_object(Bucket=BUCKET, Key="terraform/pages-local.tfstate.tflock", Body=b"not JSON")
    s3.put_object(Bucket=BUCKET, Key=STATE, Body=b"{}")

    found = {lock.key: lock.holder for lock in LocksHook(**CONNECTION).find(BUCKET, "local")}

    assert found == {
        "terraform/pages-local.tfstate.tflock": "(unknown)",
        f"{STATE}.tflock": f"{HERE}, OperationTypeApply, id 1",
    }


@pytest.mark.parametrize(
    ("who", "created", "is_removed"),
    [
        pytest.param(HERE, NOW, True, id="taken here since then"),
        pytest.param(HERE, NOW - timedelta(seconds=1), False, id="taken here before"),
        pytest.param("airflow@elsewhere", NOW, False, id="taken by another host"),
    ],
)
def test_only_a_lock_that_this_host_took_since_then_is_removed(
    s3: Any, who: str, created: datetime, is_removed: bool
) -> None:
    _lock(s3, who=who, created=created)
    hook = LocksHook(**CONNECTION)

    assert hook.remove_own(BUCKET, STATE, NOW) is is_removed
    assert bool(hook.find(BUCKET, "local")) is not is_removed


def test_a_state_that_is_not_locked_has_no_lock_to_remove(s3: Any) -> None:
    assert not LocksHook(**CONNECTION).remove_own(BUCKET, STATE, NOW)
