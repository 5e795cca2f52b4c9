"""What security groups admit, as nftables reads it and as networks."""

from ipaddress import IPv4Network

from localcloud.vpc.rules import Peer, Rule, admitted, networks, table

CLOUD = "10.90.0.250"
EVERYWHERE = "0.0.0.0/0"


def peer(
    last: int, *groups: str, ingress: tuple[Rule, ...] = (), egress: tuple[Rule, ...] = (), balancer: bool = False
) -> Peer:
    """Return a peer at an address of the containers' network that ends like that of its subnet."""
    return Peer(f"10.90.0.{last}", (f"172.31.0.{last}",), frozenset(groups), ingress, egress, balancer)


def lines(one: Peer, *others: Peer) -> list[str]:
    """Return the lines of an instance's rules."""
    return table(one, [one, *others], CLOUD, 4000).splitlines()


def test_a_rule_of_a_group_is_about_its_members() -> None:
    rule = Rule("tcp", 8080, 8080, group="sg-a")

    assert networks(rule, [peer(5, "sg-a"), peer(6, "sg-b"), peer(7, "sg-b", "sg-a")]) == [
        IPv4Network("10.90.0.5/32"),
        IPv4Network("10.90.0.7/32"),
    ]
    assert (
        lines(peer(9, ingress=(rule,)), peer(5, "sg-a")).count("ip saddr { 10.90.0.5/32 } tcp dport 8080-8080 accept")
        == 1
    )


def test_a_group_without_members_admits_nobody() -> None:
    rule = Rule("tcp", 8080, 8080, group="sg-a")

    assert not any("8080" in line for line in lines(peer(9, ingress=(rule,))))


def test_a_rule_of_a_network_is_about_it_and_who_has_an_address_there() -> None:
    rule = Rule("-1", None, None, cidr="172.31.0.4/30")

    assert networks(rule, [peer(5), peer(9)]) == [IPv4Network("10.90.0.5/32"), IPv4Network("172.31.0.4/30")]


def test_rules_for_everybody_name_no_address() -> None:
    ingress = (Rule("icmp", 8, -1, EVERYWHERE), Rule("udp", 0, 65535, EVERYWHERE), Rule("50", None, None, EVERYWHERE))

    text = lines(peer(9, ingress=ingress, egress=(Rule("-1", None, None, EVERYWHERE),)))

    assert [line for line in text if line in {"icmp type 8 accept", "meta l4proto 17 accept", "meta l4proto 50 accept"}]
    assert "accept" in text


def test_a_load_balancer_is_held_to_what_its_own_groups_let_out() -> None:
    instance, free = peer(9, "sg-a"), Rule("-1", None, None, EVERYWHERE)
    to_instance = Rule("tcp", 8080, 8081, group="sg-a")

    def held(*egress: Rule) -> list[str]:
        return [line for line in lines(instance, peer(5, egress=egress, balancer=True)) if line.endswith("drop")]

    assert held(free) == []
    assert held(to_instance) == ["ip saddr 10.90.0.5 tcp dport != { 8080-8081 } drop"]
    assert held() == ["ip saddr 10.90.0.5 drop"]


def test_a_load_balancer_admits_by_the_rules_of_its_port() -> None:
    ingress = (
        Rule("tcp", 80, 80, "127.0.0.0/8"),
        Rule("tcp", 443, 443, EVERYWHERE),
        Rule("-1", None, None, group="sg-a"),
    )

    found = admitted(peer(5, ingress=ingress, balancer=True), 80, [peer(9, "sg-a")])

    assert found == [IPv4Network("10.90.0.9/32"), IPv4Network("127.0.0.0/8")]
