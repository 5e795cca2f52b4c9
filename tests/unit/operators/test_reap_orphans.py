"""The stage reap_orphans: what it removes from a cloud, what it leaves, and what it says about both."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from botocore.exceptions import ClientError

from rebake import tags
from rebake.config import load_environment
from rebake.estate.orphans import PACKERS_GROUP
from rebake.exceptions import EstateError
from rebake.hooks.orphans import OrphansHook
from rebake.hooks.reports import ReportsHook
from rebake.operators.reap_orphans import ReapOrphansOperator
from tests.support.aws import BUCKET, CONNECTION, tag_list
from tests.support.task import context

BUILDER = {tags.KIND: tags.KIND_BUILDER, tags.ENVIRONMENT: "local"}
FLEET = {tags.KIND: tags.KIND_FLEET, tags.ENVIRONMENT: "local"}
AMI = "ami-0123456789abcdef0"
EARLIER = f"{int(time.time()) - 7200:08x}"
KEY = f"packer_{EARLIER}-0123-4567-89ab-0123456789ab"
GROUP = f"packer_{EARLIER}-0123-4567-89ab-ba9876543210"


class Cloud:
    """An account with a builder that nobody ended, all that it used, and a fleet's instance."""

    def __init__(self, ec2: Any, s3: Any) -> None:
        self.ec2, self.s3 = ec2, s3
        self.ec2.create_key_pair(KeyName=KEY)
        self.ec2.create_key_pair(KeyName="ours")
        self.group = self.ec2.create_security_group(GroupName=GROUP, Description=PACKERS_GROUP)["GroupId"]
        self.builder = self.instance(BUILDER, KeyName=KEY, SecurityGroupIds=[self.group])
        self.fleet = self.instance(FLEET)
        self.volume = self._volume(BUILDER)
        self.strangers_volume = self._volume({})
        self.image = self.ec2.create_image(
            InstanceId=self.fleet, Name="rebake-webapp-1.2.3-0123456789ab-20260301100000"
        )["ImageId"]
        self.finished = self.ec2.register_image(Name="rebake-webapp-1.2.3-ba9876543210-20260301100000")["ImageId"]
        self.tag(self.finished, {tags.KIND: tags.KIND_APP_IMAGE})

    def tag(self, resource: str, labels: dict[str, str]) -> None:
        self.ec2.create_tags(Resources=[resource], Tags=tag_list(labels))

    def instance(self, labels: dict[str, str], image: str = AMI, **more: Any) -> str:
        made: str = self.ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tag_list(labels)}],
            **more,
        )["Instances"][0]["InstanceId"]
        return made

    def _volume(self, labels: dict[str, str]) -> str:
        made: str = self.ec2.create_volume(Size=1, AvailabilityZone="eu-west-1a")["VolumeId"]
        if labels:
            self.tag(made, labels)
        return made

    def things(self) -> set[str]:
        """Return everything that is there, by its id or name."""
        reservations = self.ec2.describe_instances()["Reservations"]
        return {
            *(
                one["InstanceId"]
                for reservation in reservations
                for one in reservation["Instances"]
                if one["State"]["Name"] != "terminated"
            ),
            *(one["VolumeId"] for one in self.ec2.describe_volumes()["Volumes"] if one["State"] == "available"),
            *(one["KeyName"] for one in self.ec2.describe_key_pairs()["KeyPairs"]),
            *(one["GroupId"] for one in self.ec2.describe_security_groups()["SecurityGroups"]),
            *(one["ImageId"] for one in self.ec2.describe_images(Owners=["self"])["Images"]),
        }


@pytest.fixture
def cloud(ec2: Any, s3: Any) -> Cloud:
    return Cloud(ec2, s3)


Reap = Callable[..., dict[str, Any]]


@pytest.fixture
def reap(monkeypatch: pytest.MonkeyPatch) -> Reap:
    """Return a function that runs the stage to its end, as under a policy, and returns its report."""

    def run(*, older_than_minutes: int = 0, dry_run: bool = False) -> dict[str, Any]:
        environment = load_environment()
        limits = {"older_than_minutes": older_than_minutes, "dry_run": dry_run}
        orphans = environment.policy.orphans.model_copy(update=limits)
        policy = environment.policy.model_copy(update={"orphans": orphans})
        monkeypatch.setattr(ReapOrphansOperator, "environment", environment.model_copy(update={"policy": policy}))
        operator = ReapOrphansOperator(task_id="reap_orphans")
        try:
            operator.execute(context())
        except TaskDeferred as deferred:
            go_on = getattr(operator, deferred.method_name)
            go_on(context(), {"status": "success", "message": ""}, **(deferred.kwargs or {}))
        report = ReportsHook(**CONNECTION).latest(BUCKET, "orphans")
        assert report is not None
        return report

    return run


def test_everything_of_a_killed_bake_goes_and_nothing_else_and_then_there_is_nothing(cloud: Cloud, reap: Reap) -> None:
    before = cloud.things()

    report = reap()

    assert before - cloud.things() == {cloud.builder, cloud.volume, cloud.group, KEY, cloud.image}
    assert report["title"] == "Removed 5 orphans"
    assert reap()["title"] == "No orphans"


@pytest.mark.parametrize(
    ("options", "title", "summary"),
    [
        # The group's age is in its name, but the builder that uses it is young.
        pytest.param({"older_than_minutes": 60}, "", {"kept": 5}, id="young"),
        pytest.param({"dry_run": True}, "Would remove", {"instance": 1}, id="a dry run"),
    ],
)
def test_what_is_young_and_in_a_dry_run_everything_stays(
    cloud: Cloud, reap: Reap, options: dict[str, Any], title: str, summary: dict[str, int]
) -> None:
    before = cloud.things()

    report = reap(**options)

    assert cloud.things() == before
    assert report["title"].startswith(title)
    assert summary.items() <= report["summary"].items()


def test_a_key_pair_a_group_and_an_unfinished_image_stay_as_long_as_any_instance_uses_them(
    cloud: Cloud, reap: Reap
) -> None:
    user = cloud.instance({"team": "b"}, image=cloud.image, KeyName=KEY, SecurityGroupIds=[cloud.group])

    reap()

    assert {user, KEY, cloud.group, cloud.image} <= cloud.things()


def test_what_was_taken_into_use_since_it_was_found_stays(
    cloud: Cloud, reap: Reap, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_again = OrphansHook.find_again

    def tagged_meanwhile(hook: OrphansHook, thing: Any) -> Any:
        if thing.id == cloud.volume:
            cloud.tag(cloud.volume, FLEET)
        return find_again(hook, thing)

    monkeypatch.setattr(OrphansHook, "find_again", tagged_meanwhile)

    reap()

    assert cloud.volume in cloud.things()


def test_an_image_that_was_deregistered_meanwhile_fails_nothing(
    cloud: Cloud, reap: Reap, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_again = OrphansHook.find_again

    def deregistered_meanwhile(hook: OrphansHook, thing: Any) -> Any:
        found = find_again(hook, thing)
        if thing.id == cloud.image:
            cloud.ec2.deregister_image(ImageId=cloud.image)
        return found

    monkeypatch.setattr(OrphansHook, "find_again", deregistered_meanwhile)

    reap()

    assert cloud.image not in cloud.things()


def test_one_thing_that_aws_refuses_to_remove_does_not_keep_the_others(
    cloud: Cloud, reap: Reap, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = OrphansHook.remove

    def refuse_the_group(hook: OrphansHook, thing: Any) -> str:
        if thing.id == cloud.group:
            raise ClientError({"Error": {"Code": "DependencyViolation", "Message": "a rule names it"}}, "Delete")
        return remove(hook, thing)

    monkeypatch.setattr(OrphansHook, "remove", refuse_the_group)

    with pytest.raises(EstateError, match=f"refused to remove 1 orphans, the first: {cloud.group}: .*a rule names"):
        reap()

    assert KEY not in cloud.things()


def test_an_old_lock_on_a_state_is_reported_with_its_holder_and_left(cloud: Cloud, reap: Reap) -> None:
    key = "terraform/webapp-local.tfstate.tflock"
    cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=b'{"ID": "1", "Operation": "OperationTypeApply", "Who": "ada"}')

    report = reap()

    assert report["summary"]["old locks"] == 1
    assert report["tables"][1]["rows"][0][2] == "ada, OperationTypeApply, id 1"
    assert cloud.s3.head_object(Bucket=BUCKET, Key=key)
