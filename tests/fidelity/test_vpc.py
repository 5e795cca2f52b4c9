"""Facts of EC2: networks, their addresses and security groups."""

import ipaddress
import itertools
from typing import Any

import pytest

from tests.fidelity.refusals import refused
from tests.fidelity.sources import DOCS, ec2, ec2_guide, elb
from tests.localcloud.server_support import Server

SERVICE = "EC2"
ZONE = "eu-west-1a"
SIZING = f"[user guide, subnet sizing]({DOCS}/vpc/latest/userguide/subnet-sizing.html)"
DEFAULT_GROUP = f"[user guide, default-security-group]({DOCS}/vpc/latest/userguide/default-security-group.html)"
GROUP_RULES = f"[user guide, security-group-rules]({DOCS}/vpc/latest/userguide/security-group-rules.html)"
ERRORS = f"[error codes]({DOCS}/AWSEC2/latest/APIReference/errors-overview.html)"
PUBLIC = ec2_guide("using-instance-addressing")
DELETE_VPC = f"[user guide, delete-vpc]({DOCS}/vpc/latest/userguide/delete-vpc.html)"

NETWORKS = itertools.count(1)


class Network:
    """A VPC of a test's own, with one small subnet."""

    def __init__(self, cloud: Server) -> None:
        self.cloud = cloud
        self.ec2: Any = cloud.client("ec2")
        self.prefix = f"10.{next(NETWORKS)}"
        self.vpc = self.ec2.create_vpc(CidrBlock=f"{self.prefix}.0.0/16")["Vpc"]["VpcId"]
        self.cidr = f"{self.prefix}.0.0/28"
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=self.cidr, AvailabilityZone=ZONE)["Subnet"][
            "SubnetId"
        ]

    def group(self, name: str = "some") -> str:
        """Make a security group in it."""
        made = self.ec2.create_security_group(GroupName=name, Description="of a test", VpcId=self.vpc)
        return str(made["GroupId"])

    def launch(self, **arguments: Any) -> dict[str, Any]:
        """Launch an instance in the subnet and describe it."""
        where = {} if "NetworkInterfaces" in arguments else {"SubnetId": self.subnet}
        return self.cloud.launch_running(**where, **arguments)

    def free(self) -> int:
        """Return how many addresses DescribeSubnets reports as free."""
        (subnet,) = self.ec2.describe_subnets(SubnetIds=[self.subnet])["Subnets"]
        return int(subnet["AvailableIpAddressCount"])

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance and wait for it."""
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        self.cloud.wait_for_state(instance_id, "terminated")


@pytest.fixture
def network(cloud: Server) -> Network:
    return Network(cloud)


@pytest.mark.fact("Five addresses of a subnet are AWS's, the rest are available", SIZING)
def test_five_addresses_of_a_subnet_are_aws_s(network: Network) -> None:
    assert network.free() == 11


@pytest.mark.fact("An instance has an address of its subnet, none of the first four nor the last", SIZING)
def test_instances_have_addresses_of_their_subnet(network: Network) -> None:
    addresses = {ipaddress.ip_address(network.launch()["PrivateIpAddress"]) for _ in range(11)}

    assert addresses == set(ipaddress.ip_network(network.cidr)) - {
        *list(ipaddress.ip_network(network.cidr))[:4],
        ipaddress.ip_network(network.cidr).broadcast_address,
    }


@pytest.mark.fact("An instance takes one of the subnet's available addresses until it is terminated", ec2("Subnet"))
def test_an_address_is_available_again_after_termination(network: Network) -> None:
    for _ in range(13):  # more than there are addresses
        instance = network.launch()["InstanceId"]
        assert network.free() == 10
        network.terminate(instance)

    assert network.free() == 11


@pytest.mark.fact("A stopped instance keeps its private address", ec2_guide("Stop_Start"))
def test_a_stopped_instance_keeps_its_address(network: Network) -> None:
    instance = network.launch()
    network.ec2.stop_instances(InstanceIds=[instance["InstanceId"]])

    stopped = network.cloud.wait_for_state(instance["InstanceId"], "stopped")

    assert stopped["PrivateIpAddress"] == instance["PrivateIpAddress"]
    assert network.free() == 10


@pytest.mark.fact("A launch that a subnet has not enough addresses for fails as a whole", ERRORS)
def test_a_full_subnet_launches_nothing(network: Network) -> None:
    for _ in range(10):
        network.launch()

    with refused("InsufficientFreeAddressesInSubnet", text=f"'{network.subnet}'"):
        network.launch(MinCount=2, MaxCount=2)

    assert network.free() == 1
    reservations = network.ec2.describe_instances(Filters=[{"Name": "subnet-id", "Values": [network.subnet]}])
    assert len(reservations["Reservations"]) == 10


@pytest.mark.fact("A launch may choose its private address", ec2("RunInstances"))
@pytest.mark.fact("A private address that is in use is refused", ERRORS)
@pytest.mark.fact("A private address outside the subnet is refused", ec2("RunInstances"))
def test_a_launch_may_choose_a_free_address_of_its_subnet(network: Network) -> None:
    chosen = f"{network.prefix}.0.9"

    instance = network.launch(PrivateIpAddress=chosen)

    assert instance["PrivateIpAddress"] == chosen
    with refused("InvalidIPAddress.InUse", text=chosen):
        network.launch(PrivateIpAddress=chosen)
    with refused("InvalidParameterValue", text="does not fall within the subnet's address range"):
        network.launch(PrivateIpAddress="192.0.2.7")
    with refused("InvalidParameterValue", text="reserved"):
        network.launch(PrivateIpAddress=f"{network.prefix}.0.1")


@pytest.mark.fact("A network interface takes its addresses from its subnet, and gives them back", ec2("Subnet"))
def test_a_network_interface_takes_addresses_of_the_subnet(network: Network) -> None:
    made = network.ec2.create_network_interface(SubnetId=network.subnet, SecondaryPrivateIpAddressCount=2)
    interface = made["NetworkInterface"]

    addresses = {each["PrivateIpAddress"] for each in interface["PrivateIpAddresses"]}
    assert len(addresses) == 3
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network(network.cidr) for each in addresses)
    assert network.free() == 8

    network.ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    assert network.free() == 11


@pytest.mark.fact("A network interface that is in use cannot be deleted", ec2("DeleteNetworkInterface"))
@pytest.mark.fact("A network interface that is in use cannot be launched with", ERRORS)
def test_a_network_interface_in_use_stays(network: Network) -> None:
    interface = network.launch()["NetworkInterfaces"][0]["NetworkInterfaceId"]

    with refused("InvalidParameterValue", text="is currently in use"):
        network.ec2.delete_network_interface(NetworkInterfaceId=interface)
    with refused("InvalidNetworkInterface.InUse", text=interface):
        network.launch(NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface}])


@pytest.mark.fact("An instance may be launched with a network interface that exists, and has its address", PUBLIC)
def test_an_instance_takes_an_interface_that_exists(network: Network) -> None:
    interface = network.ec2.create_network_interface(SubnetId=network.subnet)["NetworkInterface"]
    named = {"DeviceIndex": 0, "NetworkInterfaceId": interface["NetworkInterfaceId"]}

    instance = network.launch(NetworkInterfaces=[named])

    assert instance["PrivateIpAddress"] == interface["PrivateIpAddress"]
    assert (instance["SubnetId"], network.free()) == (network.subnet, 10)


@pytest.mark.fact("Instances of a subnet that is not a default one have no public address", PUBLIC)
@pytest.mark.fact("A launch may demand a public address for its interface", PUBLIC)
@pytest.mark.fact("MapPublicIpOnLaunch gives instances of the subnet public addresses", ec2("ModifySubnetAttribute"))
def test_public_addresses_follow_the_subnet_unless_the_launch_sets_them(network: Network) -> None:
    demanded = {"DeviceIndex": 0, "SubnetId": network.subnet, "AssociatePublicIpAddress": True}

    assert "PublicIpAddress" not in network.launch()
    assert "PublicIpAddress" in network.launch(NetworkInterfaces=[demanded])

    network.ec2.modify_subnet_attribute(SubnetId=network.subnet, MapPublicIpOnLaunch={"Value": True})
    assert "PublicIpAddress" in network.launch()
    assert "PublicIpAddress" not in network.launch(NetworkInterfaces=[{**demanded, "AssociatePublicIpAddress": False}])


@pytest.mark.fact("Instances of a default subnet have public addresses", PUBLIC)
@pytest.mark.fact("A launch that names no subnet goes to a default subnet", ec2("RunInstances"))
def test_a_launch_without_a_subnet_goes_to_a_default_one(cloud: Server) -> None:
    instance = cloud.launch_running()

    (subnet,) = cloud.client("ec2").describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"]
    assert subnet["DefaultForAz"]
    assert ipaddress.ip_address(instance["PrivateIpAddress"]) in ipaddress.ip_network(subnet["CidrBlock"])
    assert "PublicIpAddress" in instance


@pytest.mark.fact("A public address is given up when the instance stops", PUBLIC)
def test_a_public_address_goes_when_the_instance_stops(cloud: Server) -> None:
    instance = cloud.launch_running()
    cloud.client("ec2").stop_instances(InstanceIds=[instance["InstanceId"]])

    assert "PublicIpAddress" not in cloud.wait_for_state(instance["InstanceId"], "stopped")


@pytest.mark.fact(
    "A launch template's network interface gives subnet, groups and public address", ec2_guide("ec2-launch-templates")
)
def test_a_launch_template_gives_the_network(network: Network) -> None:
    group = network.group()
    interface = {"DeviceIndex": 0, "SubnetId": network.subnet, "Groups": [group], "AssociatePublicIpAddress": True}
    network.ec2.create_launch_template(
        LaunchTemplateName=f"vpc-{network.vpc}", LaunchTemplateData={"NetworkInterfaces": [interface]}
    )

    instance = network.cloud.launch_running(LaunchTemplate={"LaunchTemplateName": f"vpc-{network.vpc}"})

    assert (instance["SubnetId"], "PublicIpAddress" in instance) == (network.subnet, True)
    assert [each["GroupId"] for each in instance["SecurityGroups"]] == [group]


@pytest.mark.fact("A subnet with network interfaces cannot be deleted", ec2("DeleteSubnet"))
def test_a_subnet_in_use_stays(network: Network) -> None:
    instance = network.launch()["InstanceId"]

    with refused("DependencyViolation", text=network.subnet):
        network.ec2.delete_subnet(SubnetId=network.subnet)

    network.terminate(instance)
    network.ec2.delete_subnet(SubnetId=network.subnet)


@pytest.mark.fact("A VPC with an internet gateway, or with groups of its own, cannot be deleted", DELETE_VPC)
def test_a_vpc_in_use_stays(network: Network) -> None:
    network.ec2.delete_subnet(SubnetId=network.subnet)
    gateway = network.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    network.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc)
    with refused("DependencyViolation", text=network.vpc):
        network.ec2.delete_vpc(VpcId=network.vpc)
    network.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc)
    group = network.group()
    with refused("DependencyViolation", text=network.vpc):
        network.ec2.delete_vpc(VpcId=network.vpc)

    network.ec2.delete_security_group(GroupId=group)
    network.ec2.delete_vpc(VpcId=network.vpc)


@pytest.mark.fact("An internet gateway that is attached cannot be deleted", ec2("DeleteInternetGateway"))
def test_an_attached_internet_gateway_stays(network: Network) -> None:
    gateway = network.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    network.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc)

    with refused("DependencyViolation"):
        network.ec2.delete_internet_gateway(InternetGatewayId=gateway)


@pytest.mark.fact("Subnets lie within their VPC and do not overlap", ERRORS)
def test_subnets_lie_in_their_vpc_and_do_not_overlap(network: Network) -> None:
    with refused("InvalidSubnet.Range"):
        network.ec2.create_subnet(VpcId=network.vpc, CidrBlock="192.0.2.0/24")
    with refused("InvalidSubnet.Conflict"):
        network.ec2.create_subnet(VpcId=network.vpc, CidrBlock=f"{network.prefix}.0.0/24")


@pytest.mark.fact("A new VPC has a route within itself and to nowhere else", ec2("CreateVpc"))
def test_a_new_vpc_routes_within_itself(network: Network) -> None:
    named = [{"Name": "vpc-id", "Values": [network.vpc]}]

    (table,) = network.ec2.describe_route_tables(Filters=named)["RouteTables"]

    assert [(each["DestinationCidrBlock"], each["GatewayId"]) for each in table["Routes"]] == [
        (f"{network.prefix}.0.0/16", "local")
    ]


@pytest.mark.fact("A second route to the same destination is refused", ec2("CreateRoute"))
@pytest.mark.fact("A route to an internet gateway that does not exist is refused", ERRORS)
def test_a_route_is_unique_and_leads_somewhere(network: Network) -> None:
    (table,) = network.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [network.vpc]}])["RouteTables"]
    gateway = network.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    network.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc)
    route = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    network.ec2.create_route(**route)

    with refused("RouteAlreadyExists"):
        network.ec2.create_route(**route)
    with refused("InvalidInternetGatewayID.NotFound"):
        network.ec2.create_route(
            **route | {"DestinationCidrBlock": "192.0.2.0/24", "GatewayId": "igw-0123456789abcdef0"}
        )


@pytest.mark.fact("A VPC's default group admits only its own members", DEFAULT_GROUP)
def test_the_default_group_admits_its_own_members(network: Network) -> None:
    named = [{"Name": "vpc-id", "Values": [network.vpc]}, {"Name": "group-name", "Values": ["default"]}]

    (group,) = network.ec2.describe_security_groups(Filters=named)["SecurityGroups"]

    (rule,) = group["IpPermissions"]
    assert rule["IpProtocol"] == "-1"
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [group["GroupId"]]
    assert not rule["IpRanges"]


@pytest.mark.fact("A new security group lets nothing in and everything out", GROUP_RULES)
def test_a_new_group_lets_nothing_in_and_everything_out(network: Network) -> None:
    (group,) = network.ec2.describe_security_groups(GroupIds=[network.group()])["SecurityGroups"]

    assert group["IpPermissions"] == []
    (rule,) = group["IpPermissionsEgress"]
    assert (rule["IpProtocol"], rule["IpRanges"]) == ("-1", [{"CidrIp": "0.0.0.0/0"}])


@pytest.mark.fact("A rule may not name a group that does not exist", ERRORS)
def test_a_rule_names_groups_that_exist(network: Network) -> None:
    unknown = {
        "IpProtocol": "tcp",
        "FromPort": 1,
        "ToPort": 2,
        "UserIdGroupPairs": [{"GroupId": "sg-0123456789abcdef0"}],
    }

    with refused("InvalidGroup.NotFound"):
        network.ec2.authorize_security_group_ingress(GroupId=network.group(), IpPermissions=[unknown])


@pytest.mark.fact("Group and subnet of a launch belong to one VPC", ERRORS)
def test_group_and_subnet_belong_to_one_vpc(network: Network, cloud: Server) -> None:
    elsewhere = Network(cloud).group()

    with refused("InvalidParameter", text=f"Security group {elsewhere} and subnet {network.subnet}"):
        network.launch(SecurityGroupIds=[elsewhere])


@pytest.mark.fact("Groups are given beside network interfaces only within them", ec2("RunInstances"))
def test_groups_are_not_given_beside_interfaces(network: Network) -> None:
    with refused("InvalidParameterCombination", text="Network interfaces and an instance-level security groups"):
        network.launch(
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": network.subnet}], SecurityGroupIds=[network.group()]
        )


@pytest.mark.fact("Changed groups of an instance replace those before", ec2("ModifyInstanceAttribute"))
def test_changed_groups_replace_those_before(network: Network) -> None:
    before, after = network.group("before"), network.group("after")
    instance = network.launch(SecurityGroupIds=[before])

    network.ec2.modify_instance_attribute(InstanceId=instance["InstanceId"], Groups=[after])

    instance = network.cloud.instance(instance["InstanceId"])
    assert [each["GroupId"] for each in instance["SecurityGroups"]] == [after]
    assert [each["GroupId"] for each in instance["NetworkInterfaces"][0]["Groups"]] == [after]
    network.ec2.delete_security_group(GroupId=before)


@pytest.mark.fact("Groups of the primary interface are those of its instance", ec2("ModifyNetworkInterfaceAttribute"))
def test_groups_of_the_primary_interface_are_those_of_the_instance(network: Network) -> None:
    before, after = network.group("before"), network.group("after")
    instance = network.launch(SecurityGroupIds=[before])
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]

    network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[after])

    groups = network.cloud.instance(instance["InstanceId"])["SecurityGroups"]
    assert [each["GroupId"] for each in groups] == [after]


SUBNETS = f"[user guide, subnets]({DOCS}/elasticloadbalancing/latest/application/load-balancer-subnets.html)"


class Balanced(Network):
    """A network with a second subnet, in another zone, and a load balancer in both."""

    def __init__(self, cloud: Server, **arguments: Any) -> None:
        super().__init__(cloud)
        second = self.ec2.create_subnet(
            VpcId=self.vpc, CidrBlock=f"{self.prefix}.1.0/28", AvailabilityZone="eu-west-1b"
        )["Subnet"]["SubnetId"]
        self.group_id = self.group("entry")
        self.elb: Any = cloud.client("elbv2")
        made = self.elb.create_load_balancer(
            Name=f"vpc-{self.prefix.replace('.', '-')}",
            Subnets=[self.subnet, second],
            SecurityGroups=[self.group_id],
            **arguments,
        )
        self.arn: str = made["LoadBalancers"][0]["LoadBalancerArn"]

    def interfaces(self) -> list[dict[str, Any]]:
        """Describe the load balancer's network interfaces."""
        name = "ELB " + self.arn.partition("loadbalancer/")[2]
        filters = [{"Name": "description", "Values": [name]}]
        return list(self.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"])


@pytest.mark.fact("A load balancer has a network interface in each of its subnets", SUBNETS)
@pytest.mark.fact("A security group of a load balancer cannot be deleted", ec2("DeleteSecurityGroup"))
def test_a_load_balancer_has_an_interface_in_each_subnet(cloud: Server) -> None:
    network = Balanced(cloud)

    assert len({each["SubnetId"] for each in network.interfaces()}) == 2
    assert {group["GroupId"] for each in network.interfaces() for group in each["Groups"]} == {network.group_id}
    assert network.free() == 10
    with refused("DependencyViolation"):
        network.ec2.delete_security_group(GroupId=network.group_id)
    with refused("InvalidParameterValue", text="is currently in use"):
        network.ec2.delete_network_interface(NetworkInterfaceId=network.interfaces()[0]["NetworkInterfaceId"])

    network.elb.delete_load_balancer(LoadBalancerArn=network.arn)
    assert (network.interfaces(), network.free()) == ([], 11)
    network.ec2.delete_security_group(GroupId=network.group_id)


@pytest.mark.fact("Changed groups of a load balancer are those of its network interfaces", elb("SetSecurityGroups"))
def test_changed_groups_of_a_load_balancer_are_those_of_its_interfaces(cloud: Server) -> None:
    network = Balanced(cloud)
    after = network.group("after")

    network.elb.set_security_groups(LoadBalancerArn=network.arn, SecurityGroups=[after])

    assert {group["GroupId"] for each in network.interfaces() for group in each["Groups"]} == {after}


@pytest.mark.fact("A subnet of a load balancer needs eight free addresses", SUBNETS)
def test_a_subnet_of_a_load_balancer_needs_eight_free_addresses(cloud: Server) -> None:
    network = Balanced(cloud)
    for _ in range(3):
        network.launch()

    with refused("InvalidSubnet", text=network.subnet):
        network.elb.create_load_balancer(Name="crowded", Subnets=[each["SubnetId"] for each in network.interfaces()])


@pytest.mark.fact(
    "A launch takes as many instances as the subnet has addresses for, up to MaxCount", ec2("RunInstances")
)
def test_a_launch_takes_what_the_subnet_has_addresses_for(network: Network) -> None:
    launched = network.ec2.run_instances(
        ImageId=network.cloud.seed_image(), InstanceType="t3.micro", MinCount=1, MaxCount=20, SubnetId=network.subnet
    )

    assert len(launched["Instances"]) == 11
