"""What is emulated of networks and of instance metadata, and which actions are changed; see `localcloud.coverage`."""

from localcloud.coverage import Behaviour, absent, partial

GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
VPC = "https://docs.aws.amazon.com/vpc/latest/userguide"
GROUPS = f"[user guide]({VPC}/vpc-security-groups.html)"
BALANCERS = (
    "[user guide](https://docs.aws.amazon.com/elasticloadbalancing/latest/application/"
    "load-balancer-update-security-groups.html)"
)
ADDRESSES = f"[user guide]({GUIDE}/using-instance-addressing.html)"
ROUTES = f"[user guide]({VPC}/VPC_Route_Tables.html)"
METADATA = f"[user guide]({GUIDE}/instancedata-data-categories.html)"
TOKENS = f"[user guide]({GUIDE}/configuring-instance-metadata-service.html)"
ROLES = f"[user guide]({GUIDE}/instance-metadata-security-credentials.html)"
RECORDED = "Recorded only where the engine does not allow it: `security_groups` in the answer to `health` tells."

BEHAVIOURS = (
    Behaviour("What no rule of an instance's groups lets in times out", GROUPS,
              "test_this_machine_reaches_an_instance_only_by_a_rule", note=RECORDED),
    Behaviour("A rule that names a group means its members", GROUPS, "test_an_instance_reaches_another_by_its_group"),
    Behaviour("What no rule of an instance's groups lets out times out", GROUPS,
              "test_what_a_group_does_not_let_out_times_out", note="Except to a name service: any port 53."),
    partial("A rule that names a network means who is in it", GROUPS,
            "test_a_subnet_s_addresses_stand_for_who_is_in_it",
            "By the address in the subnet, or by that in the containers' network. Rules of IPv6 and of prefix lists "
            "let nothing through."),
    Behaviour("A load balancer reaches its targets by its group, from addresses of its own", BALANCERS,
              "test_a_load_balancer_reaches_its_targets_by_its_group"),
    Behaviour("A load balancer sends only what its group lets out", BALANCERS,
              "test_a_load_balancer_sends_only_what_its_group_lets_out"),
    Behaviour("A load balancer is reached only by a rule", BALANCERS,
              "test_a_load_balancer_is_reached_only_by_a_rule"),
    partial("Private and public addresses", ADDRESSES,
            "test_the_private_address_is_known_from_the_first_answer_on",
            "A subnet counts its addresses, but a container is reported with its own in the containers' network; "
            "public addresses are records."),
    absent("Route tables, internet and NAT gateways, network ACLs, isolation of VPCs", ROUTES,
           "Records only: every instance reaches whatever its groups let out."),
    partial("Instance metadata", METADATA, "test_an_instance_finds_what_the_api_reports_of_it",
            "At http://169.254.169.254 in each instance; the categories that pipelines use."),
    Behaviour("Tokens (IMDSv2): required or optional, with a time", TOKENS,
              "test_tokens_are_optional_unless_the_instance_requires_them"),
    Behaviour("The answer with a token travels as far as the hop limit", TOKENS,
              "test_a_token_goes_no_further_than_the_hop_limit"),
    Behaviour("HttpEndpoint disables the service", TOKENS, "test_unknown_documents_and_a_disabled_endpoint"),
    Behaviour("Credentials of the instance profile's role", ROLES,
              "test_credentials_of_the_profile_are_those_of_its_role"),
)  # fmt: skip

ACTIONS = {
    "AssignPrivateIpAddresses": "from the subnet",
    "AuthorizeSecurityGroupEgress": "holds within a second",
    "AuthorizeSecurityGroupIngress": "holds within a second",
    "CreateNetworkInterface": "takes addresses of the subnet",
    "CreateVpc": "its default group admits its own members",
    "DeleteNetworkInterface": "gives addresses back; not while in use",
    "DeleteSubnet": "not while in use",
    "DeleteVpc": "not with groups or an internet gateway",
    "DescribeSubnets": "counts available addresses",
    "ModifyInstanceAttribute": "new groups replace the old ones",
    "RevokeSecurityGroupEgress": "holds within a second",
    "RevokeSecurityGroupIngress": "holds within a second",
    "UnassignPrivateIpAddresses": "gives addresses back",
}
