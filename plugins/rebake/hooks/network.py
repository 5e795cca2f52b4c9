"""Where instances go: the network of the environment file, or the account's default VPC."""

from rebake.config import Network
from rebake.exceptions import ConfigError
from rebake.hooks.ec2 import Ec2ClientHook


class NetworkHook(Ec2ClientHook):
    """Thick wrapper around `boto3.client("ec2")` for VPCs and subnets."""

    def resolve(self, network: Network) -> Network:
        """Return `network` if it names a VPC, else the default VPC with its default subnets.

        EC2 API, DescribeVpcs and DescribeSubnets.

        Raises:
            ConfigError: the account has no default VPC, or that has no default subnet.
        """
        if network.vpc_id:
            return network
        where = f"in {self.conn_region_name}"
        way_out = "give network.vpc_id and network.subnet_ids in the environment file"
        vpcs = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not vpcs:
            raise ConfigError(f"the account has no default VPC {where}: {way_out}")
        vpc_id = vpcs[0]["VpcId"]
        pages = self.ec2.get_paginator("describe_subnets").paginate(
            Filters=[{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "default-for-az", "Values": ["true"]}]
        )
        found = [subnet for page in pages for subnet in page["Subnets"]]
        if not found:
            raise ConfigError(f"the default VPC {vpc_id} {where} has no default subnet: {way_out}")
        # By zone, so that every run names them in the same order and Terraform has nothing to change.
        ordered = sorted(found, key=lambda subnet: (subnet["AvailabilityZone"], subnet["SubnetId"]))
        return Network(vpc_id=vpc_id, subnet_ids=tuple(subnet["SubnetId"] for subnet in ordered))
