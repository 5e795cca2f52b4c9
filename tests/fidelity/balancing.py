"""Load balancers, target groups and listeners for the facts of load balancing."""

from dataclasses import dataclass, field
from typing import Any

from tests.localcloud.load_balancer_fakes import free_port
from tests.localcloud.server_support import Server


@dataclass
class Balancing:
    """What the tests of one file share; names are their own."""

    server: Server
    ports: set[int] = field(default_factory=set)
    """Those that listeners have: they listen at other addresses than the one that is asked for a free port."""

    def __post_init__(self) -> None:
        self.elb = self.server.client("elbv2")
        ec2 = self.server.client("ec2")
        self.vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["Subnets"]
        self.subnets = [each["SubnetId"] for each in found][:2]

    def port(self) -> int:
        """Return a port that no listener has."""
        while (port := free_port()) in self.ports:
            pass
        self.ports.add(port)
        return port

    def balancer(self, name: str, **settings: Any) -> str:
        """Create a load balancer and return its ARN."""
        made = self.elb.create_load_balancer(Name=name, **{"Subnets": self.subnets, **settings})
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def group(self, name: str, **settings: Any) -> str:
        """Create a target group and return its ARN."""
        defaults = {"Protocol": "HTTP", "Port": 80, "VpcId": self.vpc}
        made = self.elb.create_target_group(Name=name, **{**defaults, **settings})
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def listener(self, balancer: str, group: str | None = None, **settings: Any) -> str:
        """Create a listener that forwards, or answers 404, and return its ARN."""
        actions = [forward(group)] if group else [fixed("404")]
        defaults = {"Protocol": "HTTP", "Port": self.port(), "DefaultActions": actions}
        made = self.elb.create_listener(LoadBalancerArn=balancer, **{**defaults, **settings})
        return str(made["Listeners"][0]["ListenerArn"])

    def rule(self, listener: str, priority: int, action: dict[str, Any], **condition: Any) -> str:
        """Create a rule, for the path /PRIORITY unless a condition is given, and return its ARN."""
        made = self.elb.create_rule(
            ListenerArn=listener,
            Priority=priority,
            Conditions=[condition or {"Field": "path-pattern", "Values": [f"/{priority}"]}],
            Actions=[action],
        )
        return str(made["Rules"][0]["RuleArn"])

    def address(self, listener: str) -> tuple[str, int]:
        """Return where a listener listens."""
        (found,) = self.elb.describe_listeners(ListenerArns=[listener])["Listeners"]
        (balancer,) = self.elb.describe_load_balancers(LoadBalancerArns=[found["LoadBalancerArn"]])["LoadBalancers"]
        return balancer["DNSName"], found["Port"]

    def health(self, group: str, *targets: dict[str, Any]) -> list[tuple[str, int, str, str | None]]:
        """Return id, port, state and reason of each target."""
        described = self.elb.describe_target_health(TargetGroupArn=group, Targets=list(targets))
        return [
            (one["Target"]["Id"], one["Target"]["Port"], health["State"], health.get("Reason"))
            for one in described["TargetHealthDescriptions"]
            for health in [one["TargetHealth"]]
        ]

    def set_attribute(self, group: str, name: str, value: str) -> Any:
        """Change one attribute of a target group."""
        return self.elb.modify_target_group_attributes(
            TargetGroupArn=group, Attributes=[{"Key": name, "Value": value}]
        )["Attributes"]


def forward(*groups: str, **weights: int) -> dict[str, Any]:
    """Return an action that forwards to target groups, with the weights `first`, `second` if given."""
    if len(groups) == 1:
        return {"Type": "forward", "TargetGroupArn": groups[0]}
    tuples = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in zip(groups, weights.values(), strict=True)]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": tuples}}


def fixed(status: str, body: str = "") -> dict[str, Any]:
    """Return an action that answers by itself."""
    return {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": status, "MessageBody": body}}


def redirect(**config: str) -> dict[str, Any]:
    """Return an action that redirects."""
    return {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", **config}}
