"""What a plan of the fleet would make, whichever resources the module has today."""

from collections.abc import Callable
from typing import Any

import pytest

from rebake import config
from rebake.config import Network
from rebake.tools.terraform import fleet_variables

AMI = "ami-0123456789abcdef0"
CLIENTS = ["198.51.100.0/24"]
PIPELINE = ["10.20.0.0/16"]
PLACEMENT = Network(vpc_id="vpc-0123456789abcdef0", subnet_ids=("subnet-0123456789abcdef0", "subnet-0123456789abcdef1"))
OPEN_RULE = """
resource "aws_security_group_rule" "mistake" {
  security_group_id = aws_security_group.instance.id
  type              = "ingress"
  protocol          = "-1"
  from_port         = 0
  to_port           = 0
  cidr_blocks       = ["0.0.0.0/0"]
}
"""

Plan = dict[str, Any]


def _variables(service: str = "webapp", environment: str = "local") -> dict[str, Any]:
    """Return what the pipeline itself hands to Terraform for a service file."""
    place = config.load_environment(environment)
    made = fleet_variables(config.load_service(service, place), place, PLACEMENT, ami_id=AMI, version="1.2.3")
    return {**made, "allowed_cidrs": CLIENTS, "pipeline_cidrs": PIPELINE}


def _resources(plan: Plan) -> list[dict[str, Any]]:
    resources: list[dict[str, Any]] = plan["planned_values"]["root_module"]["resources"]
    return resources


def _of_type(plan: Plan, kind: str) -> list[dict[str, Any]]:
    return [resource["values"] for resource in _resources(plan) if resource["type"] == kind]


def _admitted(plan: Plan) -> dict[str, set[tuple[str, int, int]]]:
    """Return protocol and ports by the network that may come in, over every way there is to say so."""
    rules = [rule for rule in _of_type(plan, "aws_security_group_rule") if rule["type"] == "ingress"]
    for group in (*_of_type(plan, "aws_security_group"), *_of_type(plan, "aws_default_security_group")):
        rules += group.get("ingress") or []
    admitted: dict[str, set[tuple[str, int, int]]] = {}
    for rule in rules:
        for network in (*(rule.get("cidr_blocks") or []), *(rule.get("ipv6_cidr_blocks") or [])):
            admitted.setdefault(network, set()).add((rule["protocol"], rule["from_port"], rule["to_port"]))
    return admitted


@pytest.fixture(scope="module")
def planned(plan: Callable[..., Plan]) -> Plan:
    """Return the plan of the sample service in the embedded cloud."""
    return plan(_variables())


@pytest.mark.parametrize("service", config.service_names())
@pytest.mark.parametrize("environment", ["local", "production"])
def test_what_the_pipeline_hands_over_is_accepted_for_every_service(
    service: str, environment: str, plan: Callable[..., Plan]
) -> None:
    made = plan(_variables(service, environment))

    assert {entry["change"]["actions"][0] for entry in made["resource_changes"]} == {"create"}
    assert _of_type(made, "aws_autoscaling_group")[0]["name"] == f"{service}-{environment}"


def test_only_the_listener_and_the_services_port_admit_anybody(planned: Plan) -> None:
    assert _admitted(planned) == {CLIENTS[0]: {("tcp", 8080, 8080)}, PIPELINE[0]: {("tcp", 8080, 8080)}}


def test_a_rule_that_opens_everything_would_be_noticed(plan: Callable[..., Plan]) -> None:
    assert ("-1", 0, 0) in _admitted(plan(_variables(), extra=OPEN_RULE))["0.0.0.0/0"]


def test_no_resource_gives_a_way_to_log_in_or_a_public_address(planned: Plan) -> None:
    kinds = {resource["type"] for resource in _resources(planned)}

    assert kinds.isdisjoint({"aws_eip", "aws_eip_association", "aws_instance", "aws_key_pair"})
    assert [interface["associate_public_ip_address"] for interface in _interfaces(planned)] == ["false"]
    assert _of_type(planned, "aws_launch_template")[0]["key_name"] is None


def _interfaces(plan: Plan) -> list[dict[str, Any]]:
    interfaces: list[dict[str, Any]] = _of_type(plan, "aws_launch_template")[0]["network_interfaces"]
    return interfaces


def test_everything_that_takes_tags_says_whose_it_is(planned: Plan) -> None:
    tagged = {
        entry["address"]: entry["values"]["tags_all"] for entry in _resources(planned) if "tags_all" in entry["values"]
    }

    assert len(tagged) >= 6
    for address, tags in tagged.items():
        assert tags["rebake:kind"] == "fleet", address
        assert tags["rebake:service"] == "webapp", address


def test_the_group_names_no_moving_launch_template_version(planned: Plan) -> None:
    expressions = {
        resource["address"]: resource.get("expressions", {})
        for resource in planned["configuration"]["root_module"]["resources"]
    }
    version = expressions["aws_autoscaling_group.fleet"]["launch_template"][0]["version"]

    assert version["references"][0] == "aws_launch_template.fleet.latest_version"
    assert "constant_value" not in version


def test_the_outputs_are_those_that_the_pipeline_reads(planned: Plan) -> None:
    assert set(planned["planned_values"]["outputs"]) == {
        "auto_scaling_group_name",
        "launch_template_id",
        "launch_template_version",
        "load_balancer_dns_name",
        "target_group_arn",
        "url",
    }
