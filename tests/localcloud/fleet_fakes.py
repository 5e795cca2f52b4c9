"""A small AWS in process for tests of groups and refreshes: moto, a clock that only tests move, and no containers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from botocore.config import Config
from moto import mock_aws

from localcloud import autoscaling, elbv2
from localcloud.autoscaling.compute import Compute
from localcloud.cloud import Cloud
from localcloud.elbv2.targets import CHECK_FAILED, CHECKING, HEALTHY

REGION = "eu-west-1"
BOOT_SECONDS = 3.0


@cache
def client(service: str) -> Any:
    """A client of moto's, made once; it validates no request, so that the cloud has to."""
    return boto3.client(service, REGION, config=Config(parameter_validation=False, retries={"total_max_attempts": 1}))


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class BootingCompute(Compute):
    """moto's instances, which boot for a while instead of running at once."""

    def __init__(self, cloud: Cloud, clock: Clock) -> None:
        super().__init__(cloud)
        self._clock = clock
        self.booted_at: dict[str, float] = {}
        self.refuse: Exception | None = None

    def launch(self, group: Any, template: Any) -> Any:
        if self.refuse:
            raise self.refuse
        instance = super().launch(group, template)
        instance._state.name, instance._state.code = "pending", 0
        self.booted_at[instance.id] = self._clock() + BOOT_SECONDS
        return instance

    def boot(self) -> None:
        """Bring up what has booted long enough."""
        for instance_id, when in list(self.booted_at.items()):
            instance = self._cloud.instance(instance_id)
            if instance.state != "pending":
                del self.booted_at[instance_id]
            elif self._clock() >= when:
                instance._state.name, instance._state.code = "running", 16
                del self.booted_at[instance_id]


class World:
    """Clients, and the means to let time pass."""

    def __init__(self, cloud: Cloud, clock: Clock) -> None:
        self.cloud = cloud
        self.clock = clock
        self.compute = BootingCompute(cloud, clock)
        self.load_balancing = elbv2.install(cloud)
        self.scaling = autoscaling.install(cloud, compute=self.compute)
        self.ec2, self.elb, self.asg = client("ec2"), client("elbv2"), client("autoscaling")
        self.sick_versions: set[str] = set()
        self.sick: set[str] = set()
        self.log: list[tuple[int, int]] = []  # healthy targets, instances
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.subnets = [subnet["SubnetId"] for subnet in self.ec2.describe_subnets()["Subnets"]][:2]
        self.target_group = self.elb.create_target_group(
            Name="web", Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="instance",
            HealthCheckPath="/healthz", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
        )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "0"}
        self.elb.modify_target_group_attributes(TargetGroupArn=self.target_group, Attributes=[delay])
        balancer = self.elb.create_load_balancer(Name="web", Subnets=self.subnets)["LoadBalancers"][0]
        self.elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=8080,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.target_group}],
        )  # fmt: skip
        self.images = [self.ec2.register_image(Name=name)["ImageId"] for name in ("first", "second")]
        self.template = self.ec2.create_launch_template(
            LaunchTemplateName="web",
            LaunchTemplateData={
                "ImageId": self.images[0],
                "InstanceType": "t3.micro",
                "TagSpecifications": [
                    {"ResourceType": "instance", "Tags": [{"Key": "rebake:version", "Value": "1"}]},
                    {"ResourceType": "volume", "Tags": [{"Key": "rebake:kind", "Value": "fleet"}]},
                ],
            },
        )["LaunchTemplate"]["LaunchTemplateId"]
        self.new_version()

    def new_version(self) -> str:
        """Add a launch template version with the second image and return its number."""
        data = {"ImageId": self.images[1], "InstanceType": "t3.micro"}
        created = self.ec2.create_launch_template_version(LaunchTemplateId=self.template, LaunchTemplateData=data)
        return str(created["LaunchTemplateVersion"]["VersionNumber"])

    def create_group(self, desired: int = 3, version: str = "1", **options: Any) -> None:
        """Create the group `web` and let it come up."""
        settings: dict[str, Any] = {
            "AutoScalingGroupName": "web",
            "MinSize": min(1, desired),
            "MaxSize": 20,
            "DesiredCapacity": desired,
            "LaunchTemplate": {"LaunchTemplateId": self.template, "Version": version},
            "VPCZoneIdentifier": ",".join(self.subnets),
            "TargetGroupARNs": [self.target_group],
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": 20,
        }
        self.asg.create_auto_scaling_group(**(settings | options))
        self.run(10)

    def refresh_to(self, version: str = "2", **preferences: Any) -> str:
        """Start a refresh to a launch template version and return its id."""
        settings = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 125, "InstanceWarmup": 10} | preferences
        answer = self.asg.start_instance_refresh(
            AutoScalingGroupName="web",
            DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateId": self.template, "Version": version}},
            Preferences={name: value for name, value in settings.items() if value is not None},
        )
        identity: str = answer["InstanceRefreshId"]
        return identity

    def protect_one(self) -> str:
        """Protect the first instance from scale-in and return its id."""
        chosen: str = self.instances()[0]["InstanceId"]
        self.asg.set_instance_protection(AutoScalingGroupName="web", InstanceIds=[chosen], ProtectedFromScaleIn=True)
        return chosen

    # What there is

    @property
    def group(self) -> Any:
        """The group as the API describes it."""
        return self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]

    @property
    def refresh(self) -> Any:
        """The newest refresh as the API describes it."""
        return self.asg.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"][0]

    @property
    def newest(self) -> dict[str, Any]:
        """The newest refresh as the API would describe it, without a request: for conditions that are polled often."""
        described: dict[str, Any] = self.backend().refreshes.records(self.clock())[0].describe()
        return described

    def instances(self, state: str | None = None) -> list[Any]:
        """The group's instances, of a lifecycle state if one is given."""
        return [each for each in self.group["Instances"] if state in {None, each["LifecycleState"]}]

    def versions(self) -> list[str]:
        """The launch template versions of the instances, sorted."""
        return sorted(each["LaunchTemplate"]["Version"] for each in self.instances())

    def serving(self) -> int:
        """How many targets are healthy."""
        described = self.elb.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        return len([each for each in described if each["TargetHealth"]["State"] == "healthy"])

    def backend(self) -> Any:
        """The group itself."""
        return self.cloud.backend("autoscaling").autoscaling_groups["web"]

    # Letting time pass

    def tick(self, seconds: float = 0.5) -> None:
        """Let one round pass: boots and health checks first, then Auto Scaling."""
        self.clock.now += seconds
        self.compute.boot()
        balancer = self.load_balancing._balancer
        pool = balancer.pools[self.target_group]
        pool.finish_draining(self.clock())
        group = self.cloud.backend("autoscaling").autoscaling_groups.get("web")
        versions = {each.instance_id: each for each in group.instance_states} if group else {}
        for target in pool.targets.values():
            if target.drained_by is not None:
                continue
            managed = versions.get(target.id)
            template = managed.launch_template if managed else None
            sick = target.id in self.sick or (template and template["Version"] in self.sick_versions)
            if not sick:
                target.health = HEALTHY
            else:
                target.health = CHECKING if target.health is not CHECKING else CHECK_FAILED
        self.scaling.tick()

    def run(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass."""
        for _ in range(int(seconds / step)):
            self.tick(step)

    def run_until(self, done: Callable[[], bool], limit: float = 600, step: float = 0.5) -> float:
        """Let time pass until something holds; returns how long that took."""
        begin = self.clock()
        while not done():
            assert self.clock() - begin < limit, f"still not so after {limit} s: {self.group}, {self.refresh}"
            self.tick(step)
        return self.clock() - begin

    def run_refresh(self, limit: float = 600, step: float = 0.5) -> Any:
        """Let the refresh end, noting on the way how many instances there were; returns it as described."""
        pool = self.load_balancing._balancer.pools[self.target_group]

        def ended() -> bool:
            group = self.backend()
            healthy = [target for target in pool.targets.values() if target.health is HEALTHY]
            self.log.append((len(healthy), len(group.alive)))
            return group.refreshes.active is None

        self.run_until(ended, limit, step)
        return self.refresh

    def least_serving(self) -> int:
        """The fewest healthy targets seen during run_refresh."""
        return min(serving for serving, _ in self.log)

    def most_alive(self) -> int:
        """The most instances, terminating ones aside, seen during run_refresh."""
        return max(alive for _, alive in self.log)


@contextmanager
def world() -> Iterator[World]:
    """A fresh world, without threads or sockets in use."""
    # Loading moto's list of public images takes longer than most tests.
    with patch.dict("os.environ", MOTO_EC2_LOAD_DEFAULT_AMIS="false"), mock_aws():
        clock = Clock()
        cloud = Cloud(name="test", region=REGION, bind="127.0.0.1", engine=None, clock=clock)  # type: ignore[arg-type]
        small = World(cloud, clock)
        try:
            yield small
        finally:
            small.scaling.stop()
            small.load_balancing.stop()
