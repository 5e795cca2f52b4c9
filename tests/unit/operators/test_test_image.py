"""The stage test_image against moto: what is launched, what a retry finds, and that nothing is left."""

import base64
import time
from typing import Any

import moto.settings
import pytest

from rebake import tags
from rebake.exceptions import ImageError, ProbeFailedError
from rebake.hooks.instance import LIVE_STATES, InstanceHook
from rebake.operators.assert_base import LaunchBaseProbeOperator
from rebake.operators.test_image import LaunchProbeOperator, ProbeOperator, TerminateProbeOperator
from rebake.triggers.probe import InstancesTerminatedTrigger, ProbeTrigger
from tests.support.aws import CONNECTION, AsyncScript, stubbed
from tests.support.task import RUN_TAG, context, deferral, run_trigger

pytestmark = pytest.mark.usefixtures("account")


@pytest.fixture
def ec2(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a client of EC2, where an unknown image is an error."""
    monkeypatch.setattr(moto.settings, "ENABLE_AMI_VALIDATION", True)
    return ec2


@pytest.fixture
def image(ec2: Any) -> str:
    """Return the id of an image."""
    return _register(ec2, "one")


def _register(ec2: Any, name: str) -> str:
    return str(ec2.register_image(Name=name)["ImageId"])


def _launch(image: str, try_number: int = 1) -> str:
    return LaunchProbeOperator(task_id="launch", ami_id=image, subject="webapp").execute(context(try_number))


def _describe(ec2: Any, instance_id: str) -> dict[str, Any]:
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    instance: dict[str, Any] = reservation["Instances"][0]
    return instance


def _live(ec2: Any) -> list[str]:
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": list(LIVE_STATES)}])
    return [one["InstanceId"] for group in found["Reservations"] for one in group["Instances"]]


def _groups(ec2: Any) -> list[dict[str, Any]]:
    return [group for group in ec2.describe_security_groups()["SecurityGroups"] if group["GroupName"] != "default"]


def test_the_probe_is_tagged_with_its_volume_reachable_for_the_pipeline_only_and_ends_itself(
    ec2: Any, image: str
) -> None:
    instance_id = _launch(image)

    instance = _describe(ec2, instance_id)
    named = {tags.KIND: tags.KIND_PROBE, tags.SERVICE: "webapp", tags.DAG_RUN: RUN_TAG, tags.ENVIRONMENT: "local"}
    assert named.items() <= {tag["Key"]: tag["Value"] for tag in instance["Tags"]}.items()
    assert instance["ImageId"] == image
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    (group,) = _groups(ec2)
    assert tags.CREATED_AT in {tag["Key"] for tag in group["Tags"]}
    assert [one["GroupId"] for one in instance["SecurityGroups"]] == [group["GroupId"]]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"]) == (8080, 8080)
    assert [where["CidrIp"] for where in rule["IpRanges"]] == ["10.64.0.0/24"]  # REBAKE_WORKER_CIDR of the tests
    behaviour = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="instanceInitiatedShutdownBehavior")
    assert behaviour["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    user_data = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")["UserData"]["Value"]
    assert b"systemctl poweroff" in base64.b64decode(user_data)
    (volume,) = ec2.describe_volumes()["Volumes"]
    assert {"Key": tags.KIND, "Value": tags.KIND_PROBE} in volume["Tags"]


def test_the_probe_of_a_base_image_opens_no_port(ec2: Any, image: str) -> None:
    LaunchBaseProbeOperator(task_id="launch", ami_id=image, subject="debian-12").execute(context())

    (group,) = _groups(ec2)
    assert group["IpPermissions"] == []


def test_a_retry_adopts_the_instance_of_the_try_before(ec2: Any, image: str) -> None:
    first = _launch(image)

    assert _launch(image, try_number=2) == first
    assert _live(ec2) == [first]
    assert len(_groups(ec2)) == 1


def test_a_retry_replaces_an_instance_of_another_image(ec2: Any, image: str) -> None:
    other = _register(ec2, "another")
    first = _launch(other)

    second = _launch(image, try_number=2)

    assert second != first
    assert _live(ec2) == [second]


def test_the_instance_of_another_run_is_left_alone(ec2: Any, image: str) -> None:
    first = _launch(image)
    other = context(2)
    other["ti"].run_id = "manual__another"

    second = LaunchProbeOperator(task_id="launch", ami_id=image, subject="webapp").execute(other)

    assert sorted(_live(ec2)) == sorted([first, second])


def test_an_image_that_does_not_exist_is_named_and_nothing_is_left(ec2: Any) -> None:
    with pytest.raises(ImageError, match="ami-00000000000000bad of webapp"):
        _launch("ami-00000000000000bad")

    assert _live(ec2) == []
    assert _groups(ec2) == []


def test_a_launch_that_fails_after_the_request_leaves_nothing(
    ec2: Any, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed worker, too, is an exception by the time that anyone can clean up."""
    launch = InstanceHook.launch_probe

    def launch_and_die(*args: Any, **kwargs: Any) -> str:
        launch(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(InstanceHook, "launch_probe", launch_and_die)

    with pytest.raises(KeyboardInterrupt):
        _launch(image)

    assert _live(ec2) == []
    assert _groups(ec2) == []


def test_two_tries_send_two_client_tokens_and_one_try_sends_one(ec2: Any, image: str) -> None:
    """EC2 answers a token that it knows with the instance of then, also after that was terminated."""
    first = _launch(image, try_number=1)
    ec2.terminate_instances(InstanceIds=[first])
    second = _launch(image, try_number=2)

    assert _describe(ec2, first)["ClientToken"] != _describe(ec2, second)["ClientToken"]


def test_the_probe_defers_with_the_services_checks_and_timeout() -> None:
    operator = ProbeOperator(task_id="probe", instance_id="i-1", subject="webapp", version="1.2.3")

    trigger = deferral(operator.execute, context()).trigger

    assert isinstance(trigger, ProbeTrigger)
    names = ["GET /healthz", "GET /version", "/opt/webapp/bin/healthcheck --self-test"]
    assert [check.name for check in trigger.checks] == names
    assert trigger.checks[1].contains == '"1.2.3"'
    assert trigger.port == 8080
    assert trigger.deadline > time.time()


def test_the_probe_returns_the_report_or_fails_and_says_which_check() -> None:
    report = {"instance_id": "i-1", "address": "10.0.0.1", "seconds": 1.0, "checks": []}
    operator = ProbeOperator(task_id="probe", instance_id="i-1", subject="webapp")

    assert operator.execute_complete(context(), {"ok": True, "message": "all", "report": report}) == report
    with pytest.raises(ProbeFailedError, match="image of webapp is bad: GET /healthz: HTTP 500"):
        operator.execute_complete(context(), {"ok": False, "message": "GET /healthz: HTTP 500", "report": {}})


def test_the_teardown_terminates_waits_and_then_removes_the_security_group(ec2: Any, image: str) -> None:
    operator = TerminateProbeOperator(task_id="terminate", instance_id=_launch(image))

    deferred = deferral(operator.execute, context())

    assert isinstance(deferred.trigger, InstancesTerminatedTrigger)
    assert deferred.timeout is not None
    assert _live(ec2) == []
    assert len(_groups(ec2)) == 1, "it is too early for that"
    operator.execute_complete(context(), {"status": "success", "value": []})
    assert _groups(ec2) == []


def test_a_teardown_after_the_instance_has_ended_itself_still_removes_the_group(ec2: Any, image: str) -> None:
    instance_id = _launch(image)
    ec2.terminate_instances(InstanceIds=[instance_id])

    TerminateProbeOperator(task_id="terminate", instance_id=instance_id).execute(context())

    assert _groups(ec2) == []


def test_instances_that_do_not_terminate_fail_the_teardown() -> None:
    operator = TerminateProbeOperator(task_id="terminate", instance_id="i-1")

    with pytest.raises(TimeoutError, match="did not terminate"):
        operator.execute_complete(context(), {"status": "error", "message": "max attempts", "value": ["i-1"]})


def test_only_what_carries_our_own_mark_is_terminated(ec2: Any, image: str) -> None:
    """Not by its id alone: an instance of somebody else stays, whatever the run says."""
    theirs = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]

    TerminateProbeOperator(task_id="terminate", instance_id=theirs).execute(context())

    assert _live(ec2) == [theirs]


def test_a_group_that_is_still_held_is_deleted_a_moment_later() -> None:
    with stubbed("ec2") as (client, stubber):
        hook = InstanceHook(**CONNECTION)
        hook.__dict__["conn"] = client
        ours = [{"Key": tags.DAG_RUN, "Value": RUN_TAG}]
        stubber.add_response("describe_security_groups", {"SecurityGroups": [{"GroupId": "sg-1", "Tags": ours}]})
        stubber.add_client_error("delete_security_group", "DependencyViolation")
        stubber.add_response("delete_security_group", {})

        assert hook.delete_probe_groups(RUN_TAG, poll_seconds=0) == ["sg-1"]


def test_the_trigger_waits_by_the_same_waiter(monkeypatch: pytest.MonkeyPatch) -> None:
    states = (
        {"Reservations": [{"Instances": [{"State": {"Name": name}}]}]} for name in ("shutting-down", "terminated")
    )
    script = AsyncScript("ec2", *(("describe_instances", answer) for answer in states))
    monkeypatch.setattr(InstanceHook, "get_async_conn", script.get_async_conn)
    trigger = InstancesTerminatedTrigger(instance_ids=["i-1"], waiter_delay=0.001, waiter_max_attempts=5, **CONNECTION)

    assert run_trigger(trigger) == {"status": "success", "value": ["i-1"]}
