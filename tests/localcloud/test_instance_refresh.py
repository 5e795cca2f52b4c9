import pytest

from localcloud.autoscaling.refresh.models import ACTIVE, NEXT, IllegalTransitionError, InstanceRefresh, Status
from localcloud.autoscaling.refresh.preferences import Preferences, effective
from tests.localcloud.fleet_fakes import World

HOUR = 3600.0


def test_refresh_replaces_every_instance_without_a_dip(small: World) -> None:
    """Launch before terminate keeps three healthy targets throughout and ends well within a minute."""
    small.create_group()
    old = {each["InstanceId"] for each in small.instances()}
    begin = small.clock()
    identity = small.refresh_to("2", AutoRollback=True)

    refresh = small.run_refresh()

    assert (refresh["InstanceRefreshId"], refresh["Status"]) == (identity, "Successful")
    assert (refresh["PercentageComplete"], refresh["InstancesToUpdate"]) == (100, 0)
    assert refresh["EndTime"] >= refresh["StartTime"]
    assert small.versions() == ["2", "2", "2"]
    assert old.isdisjoint(each["InstanceId"] for each in small.instances())
    assert (small.least_serving(), small.most_alive()) == (3, 4)
    assert small.clock() - begin < 60


def test_group_template_is_rewritten_only_on_success(small: World) -> None:
    small.create_group()
    small.refresh_to("2")
    small.run(20)

    assert small.group["LaunchTemplate"]["Version"] == "1"

    small.run_refresh()

    assert small.group["LaunchTemplate"]["Version"] == "2"


def test_counters_move_at_their_different_moments(small: World) -> None:
    """InstancesToUpdate falls when an old instance leaves, PercentageComplete rises when a new one is warm."""
    small.create_group(desired=4)
    small.refresh_to("2", MinHealthyPercentage=75, MaxHealthyPercentage=None, InstanceWarmup=30)
    small.run(20)

    first = small.refresh

    assert (first["PercentageComplete"], first["InstancesToUpdate"]) == (0, 3)
    assert "is warming up" in first["StatusReason"]

    small.run(20)
    second = small.refresh

    assert (second["PercentageComplete"], second["InstancesToUpdate"]) == (25, 2)


def test_refresh_without_a_maximum_dips(small: World) -> None:
    """The default percentages serve with one instance less for a while, as at AWS."""
    small.create_group()
    small.refresh_to("2", MinHealthyPercentage=None, MaxHealthyPercentage=None)

    small.run_refresh()

    assert (small.least_serving(), small.most_alive()) == (2, 3)


def test_new_instance_counts_only_once_its_target_is_healthy(small: World) -> None:
    """With ELB health checks an instance that merely runs lets no old one leave."""
    small.create_group(HealthCheckGracePeriod=300)
    small.sick_versions.add("2")
    small.refresh_to("2", InstanceWarmup=0)
    small.run(200)

    assert small.refresh["PercentageComplete"] == 0
    assert small.versions() == ["1", "1", "1", "2"]

    small.sick_versions.clear()

    assert small.run_refresh()["Status"] == "Successful"


def test_with_ec2_health_checks_a_broken_application_passes(small: World) -> None:
    """Without ELB health checks AWS calls an instance healthy that serves nothing; so does this cloud."""
    small.create_group(HealthCheckType="EC2")
    small.sick_versions.add("2")
    small.refresh_to("2")

    assert small.run_refresh()["Status"] == "Successful"
    assert small.serving() == 0


def test_never_healthy_image_fails_after_an_hour_of_retries(small: World) -> None:
    """Instances that fail are replaced again and again; after an hour without progress the refresh has failed."""
    small.create_group()
    small.sick_versions.add("2")
    small.refresh_to("2")
    begin = small.clock()

    refresh = small.run_refresh(limit=2 * HOUR, step=5)

    assert refresh["Status"] == "Failed"
    assert HOUR <= small.clock() - begin < HOUR + 60
    assert "did not become healthy" in refresh["StatusReason"]
    assert small.least_serving() == 3
    assert small.group["LaunchTemplate"]["Version"] == "1"
    launches = small.asg.describe_scaling_activities(AutoScalingGroupName="web")["Activities"]
    assert len([each for each in launches if "ELB system health check failure" in each["Cause"]]) > 10

    small.run_until(lambda: small.versions() == ["1", "1", "1"])


def test_refresh_fails_after_fourteen_days(small: World) -> None:
    small.create_group()
    small.refresh_to("2", InstanceWarmup=6 * 24 * 3600)
    begin = small.clock()

    refresh = small.run_refresh(limit=20 * 24 * HOUR, step=1200)

    assert (refresh["Status"], refresh["PercentageComplete"]) == ("Failed", 66)
    assert refresh["StatusReason"] == "The instance refresh did not complete within 14 days."
    assert 14 * 24 * HOUR <= small.clock() - begin < 14 * 24 * HOUR + 3600


def test_refresh_without_desired_configuration_uses_the_group_template(small: World) -> None:
    """Instances get the group's launch template of that moment; the group may change meanwhile."""
    small.create_group()
    template = {"LaunchTemplateId": small.template, "Version": "2"}
    small.asg.update_auto_scaling_group(AutoScalingGroupName="web", LaunchTemplate=template)
    small.asg.start_instance_refresh(
        AutoScalingGroupName="web",
        Preferences={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 0},
    )
    small.asg.update_auto_scaling_group(AutoScalingGroupName="web", LaunchTemplate=template)

    refresh = small.run_refresh()

    assert refresh["Status"] == "Successful"
    assert "DesiredConfiguration" not in refresh
    assert small.versions() == ["2", "2", "2"]


def test_instances_lost_during_a_refresh_come_back_as_the_target(small: World) -> None:
    """Whatever is launched while a refresh is active is launched from its desired configuration."""
    small.create_group()
    small.refresh_to("2", InstanceWarmup=60)
    small.run(5)
    victim = next(each for each in small.instances("InService") if each["LaunchTemplate"]["Version"] == "1")
    small.ec2.terminate_instances(InstanceIds=[victim["InstanceId"]])
    small.run(10)

    assert small.versions().count("2") == 2


def test_scaling_out_during_a_refresh_launches_the_target(small: World) -> None:
    small.create_group()
    small.refresh_to("2")
    small.run(2)
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=5)

    assert small.run_refresh()["Status"] == "Successful"
    assert small.versions() == ["2"] * 5


def test_scaling_in_during_a_refresh_still_succeeds(small: World) -> None:
    small.create_group(desired=5)
    small.refresh_to("2")
    small.run(20)
    small.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=2)
    small.run_refresh()
    small.run_until(lambda: len(small.instances()) == 2)

    assert small.refresh["Status"] == "Successful"
    assert small.versions() == ["2", "2"]


def test_empty_group_is_refreshed_at_once(small: World) -> None:
    small.create_group(desired=0)
    small.refresh_to("2")
    small.run(1)

    assert small.refresh["Status"] == "Successful"
    assert small.group["LaunchTemplate"]["Version"] == "2"


def test_warmup_and_percentages_default_as_at_aws(small: World) -> None:
    """Omitted preferences come from the maintenance policy and the group; the others are not echoed."""
    small.create_group(HealthCheckGracePeriod=45)
    group = small.backend()

    plain = effective({}, group.instance_warmup, group.instance_maintenance_policy or {})
    group.default_instance_warmup = 0
    group.instance_maintenance_policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}
    policy = effective({}, group.instance_warmup, group.instance_maintenance_policy)

    assert plain.wire == {
        "MinHealthyPercentage": 90, "InstanceWarmup": 45, "SkipMatching": False, "AutoRollback": False,
        "AlarmSpecification": {},
    }  # fmt: skip
    assert (policy.instance_warmup, policy.bounds.minimum, policy.bounds.maximum) == (0, 100, 150)


def test_refreshes_are_listed_newest_first_page_by_page(small: World) -> None:
    small.create_group()
    ids = []
    for version in ("2", "1", "2"):
        ids.append(small.refresh_to(version, SkipMatching=True, InstanceWarmup=0))
        small.run_refresh()
    describe = small.asg.describe_instance_refreshes

    first = describe(AutoScalingGroupName="web", MaxRecords=2)
    second = describe(AutoScalingGroupName="web", MaxRecords=2, NextToken=first["NextToken"])
    one = describe(AutoScalingGroupName="web", InstanceRefreshIds=[ids[0]])

    listed = [each["InstanceRefreshId"] for each in first["InstanceRefreshes"] + second["InstanceRefreshes"]]
    assert listed == ids[::-1]
    assert "NextToken" not in second
    assert [each["InstanceRefreshId"] for each in one["InstanceRefreshes"]] == [ids[0]]


def test_refreshes_are_forgotten_after_six_weeks(small: World) -> None:
    small.create_group(desired=0)
    small.refresh_to("2")
    small.run(1)
    small.clock.now += 41 * 24 * HOUR
    kept = small.asg.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"]
    small.clock.now += 2 * 24 * HOUR
    forgotten = small.asg.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"]

    assert len(kept) == 1
    assert forgotten == []


@pytest.mark.parametrize("status", list(Status))
def test_states_follow_each_other_only_as_declared(status: Status) -> None:
    """A transition that the table does not have is an error of the emulation, not a silent change."""
    preferences = Preferences(bounds=None, instance_warmup=0)  # type: ignore[arg-type]
    for following in Status:
        refresh = InstanceRefresh("web", preferences, None, None, None, status=status)
        if following in NEXT.get(status, ()):
            refresh.enter(following, 1.0)
            assert refresh.is_active == (following in ACTIVE)
        else:
            with pytest.raises(IllegalTransitionError):
                refresh.enter(following, 1.0)


def test_every_state_of_the_api_is_known(small: World) -> None:
    modelled = small.asg.meta.service_model.shape_for("InstanceRefreshStatus").enum

    assert sorted(modelled) == sorted(Status)
