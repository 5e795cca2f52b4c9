"""Facts of listeners and rules: what is refused, and where requests go."""

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fidelity.balancing import Balancing, fixed, forward, redirect
from tests.fidelity.cases import case
from tests.fidelity.refusals import refused
from tests.fidelity.sources import elb, elb_guide
from tests.localcloud.load_balancer_fakes import LIMIT, Backend, free_port, wait_until
from tests.localcloud.server_support import Server

SERVICE = "Load balancing"
LISTENERS = elb_guide("load-balancer-listeners")
UNKNOWN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/unknown/0123456789abcdef"


@pytest.fixture(scope="module")
def site(cloud: Server) -> Balancing:
    return Balancing(cloud)


@pytest.fixture(scope="module")
def balancer(site: Balancing) -> str:
    return site.balancer("rules")


@pytest.fixture(scope="module")
def listener(site: Balancing, balancer: str) -> str:
    """A listener that answers 404 where no rule matches."""
    return site.listener(balancer)


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    """Two small HTTP services."""
    port = free_port()
    started = [Backend("127.0.0.31", port), Backend("127.0.0.32", port)]
    yield started
    for backend in started:
        backend.stop()


def group_of(site: Balancing, name: str, *backends: Backend) -> str:
    """Return a target group of the services."""
    arn = site.group(name, TargetType="ip", Port=backends[0].port, HealthCheckPath="/healthz")
    targets = [{"Id": backend.address, "AvailabilityZone": "all"} for backend in backends]
    site.elb.register_targets(TargetGroupArn=arn, Targets=targets)
    return arn


def healthy(site: Balancing, *groups: str) -> None:
    """Wait until every target is healthy."""
    for group in groups:
        wait_until(lambda group=group: {one[2] for one in site.health(group)} == {"healthy"})  # type: ignore[misc]


def ask(
    site: Balancing, listener: str, path: str, method: str = "GET", **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Send a request to a listener and return status, body and headers."""
    connection = http.client.HTTPConnection(*site.address(listener), timeout=LIMIT)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


# What is refused


@pytest.mark.fact("CreateListener with the same settings returns the existing one", elb("CreateListener"))
@pytest.mark.fact("CreateListener on a port in use, with other settings, is refused", elb("CreateListener"))
def test_a_listener_is_created_once(site: Balancing, balancer: str) -> None:
    port = site.port()

    assert site.listener(balancer, Port=port) == site.listener(balancer, Port=port)
    with refused("DuplicateListener"):
        site.listener(balancer, Port=port, DefaultActions=[fixed("410")])


@pytest.mark.fact("An application load balancer does not listen for TCP", elb("CreateListener"))
def test_application_load_balancers_speak_http(site: Balancing, balancer: str) -> None:
    with refused("ValidationError", text="must be one of 'HTTP, HTTPS'"):
        site.listener(balancer, Protocol="TCP")


@pytest.mark.fact("A listener for an unknown target group is refused", elb("CreateListener"))
def test_unknown_target_groups_are_refused(site: Balancing, balancer: str) -> None:
    with refused("TargetGroupNotFound"):
        site.listener(balancer, UNKNOWN)


@pytest.mark.fact("DescribeListeners of an unknown one is refused, also beside a known one", elb("DescribeListeners"))
def test_unknown_listeners_are_not_found(site: Balancing, listener: str) -> None:
    with refused("ListenerNotFound"):
        site.elb.describe_listeners(ListenerArns=[listener, f"{listener}0"])


@pytest.mark.fact("A rule's priority is used once in a listener", elb("CreateRule"))
def test_priorities_are_unique(site: Balancing, listener: str) -> None:
    site.rule(listener, 10, fixed("200"))

    with refused("PriorityInUse"):
        site.rule(listener, 10, fixed("200"))


@pytest.mark.fact("A rule's priority is 1 to 50000", elb("CreateRule"))
def test_priorities_are_bounded(site: Balancing, listener: str) -> None:
    with refused("ValidationError"):
        site.rule(listener, 50001, fixed("200"))


@pytest.mark.fact("SetRulePriorities swaps two rules", elb("SetRulePriorities"))
def test_rules_are_reordered(site: Balancing, listener: str) -> None:
    first, second = site.rule(listener, 20, fixed("200")), site.rule(listener, 21, fixed("200"))
    answer = site.elb.set_rule_priorities(
        RulePriorities=[{"RuleArn": first, "Priority": 21}, {"RuleArn": second, "Priority": 20}]
    )

    assert {rule["RuleArn"]: rule["Priority"] for rule in answer["Rules"]} == {first: "21", second: "20"}
    with refused("PriorityInUse"):
        site.elb.set_rule_priorities(RulePriorities=[{"RuleArn": first, "Priority": 20}])


@pytest.mark.fact("A listener's default rule is not deleted", elb("DeleteRule"))
def test_default_rules_stay(site: Balancing, listener: str) -> None:
    rules = site.elb.describe_rules(ListenerArn=listener)["Rules"]
    (default,) = [rule["RuleArn"] for rule in rules if rule["IsDefault"]]

    with refused("OperationNotPermitted"):
        site.elb.delete_rule(RuleArn=default)


@pytest.mark.fact("DescribeRules answers in pages of PageSize", elb("DescribeRules"))
def test_rules_come_in_pages(site: Balancing, balancer: str) -> None:
    listener = site.listener(balancer)
    for priority in (1, 2, 3):
        site.rule(listener, priority, fixed("200"))
    pages = list(
        site.elb.get_paginator("describe_rules").paginate(ListenerArn=listener, PaginationConfig={"PageSize": 2})
    )

    assert [len(page["Rules"]) for page in pages] == [2, 2]


@pytest.mark.parametrize(
    ("code", "action"),
    [
        case(
            "A redirect that changes nothing is refused",
            elb("RedirectActionConfig"),
            "InvalidLoadBalancerAction",
            redirect(Query="x=1"),
        ),
        case(
            "A redirect without its configuration is refused",
            elb("Action"),
            "InvalidLoadBalancerAction",
            {"Type": "redirect"},
        ),
        case(
            "A redirect's path begins with a slash",
            elb("RedirectActionConfig"),
            "InvalidLoadBalancerAction",
            redirect(Path="new"),
        ),
        case("A fixed response is 2XX, 4XX or 5XX", elb("FixedResponseActionConfig"), "ValidationError", fixed("301")),
        case(
            "A rule for an unknown target group is refused",
            elb("CreateRule"),
            "TargetGroupNotFound",
            forward(UNKNOWN),
        ),
    ],
)
def test_bad_actions_are_refused(site: Balancing, listener: str, code: str, action: dict[str, Any]) -> None:
    with refused(code):
        site.rule(listener, 30, action)


@pytest.mark.fact("A refused rule changes nothing, and later rules are followed", elb("CreateRule"))
def test_a_refused_rule_changes_nothing(site: Balancing, listener: str) -> None:
    before = site.elb.describe_rules(ListenerArn=listener)["Rules"]
    with refused("InvalidLoadBalancerAction"):
        site.rule(listener, 34, redirect(Path="new"))
    after = site.elb.describe_rules(ListenerArn=listener)["Rules"]
    site.rule(listener, 34, fixed("410"))

    assert after == before
    assert ask(site, listener, "/34")[0] == 410


@pytest.mark.fact("The weight of a target group is 0 to 999", elb("TargetGroupTuple"))
def test_weights_are_bounded(site: Balancing, listener: str) -> None:
    groups = site.group("weight-1"), site.group("weight-2")

    with refused("ValidationError"):
        site.rule(listener, 31, forward(*groups, first=1, second=1000))


@pytest.mark.fact(
    "Stickiness between target groups needs a duration of 1 s to 7 days", elb("TargetGroupStickinessConfig")
)
@pytest.mark.fact("Stickiness between target groups is kept", elb("TargetGroupStickinessConfig"))
def test_stickiness_between_groups(site: Balancing, listener: str) -> None:
    action = forward(site.group("sticky-1"), site.group("sticky-2"), first=1, second=1)
    action["ForwardConfig"]["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": 604801}
    with refused("ValidationError"):
        site.rule(listener, 32, action)
    action["ForwardConfig"]["TargetGroupStickinessConfig"]["DurationSeconds"] = 60
    (rule,) = site.elb.describe_rules(RuleArns=[site.rule(listener, 32, action)])["Rules"]

    kept = rule["Actions"][0]["ForwardConfig"]["TargetGroupStickinessConfig"]
    assert kept == {"Enabled": True, "DurationSeconds": 60}


@pytest.mark.fact("A condition of an unknown field is refused", elb("RuleCondition"))
@pytest.mark.fact("A condition without a value is refused", elb("RuleCondition"))
def test_bad_conditions_are_refused(site: Balancing, listener: str) -> None:
    for condition in ({"Field": "no-field", "Values": ["x"]}, {"Field": "path-pattern"}):
        with refused("ValidationError"):
            site.rule(listener, 33, fixed("200"), **condition)


# Where requests go


@pytest.mark.fact("A listener without targets answers 503", elb_guide("load-balancer-troubleshooting"))
def test_no_targets_is_503(site: Balancing, balancer: str) -> None:
    assert ask(site, site.listener(balancer, site.group("empty")), "/")[0] == 503


@pytest.mark.fact("Requests are shared between target groups by weight", LISTENERS)
@pytest.mark.fact("A target group of weight 0 gets no request", elb_guide("load-balancer-target-groups"))
def test_requests_are_shared_by_weight(site: Balancing, balancer: str, backends: list[Backend]) -> None:
    groups = [group_of(site, f"weighted-{backend.address[-2:]}", backend) for backend in backends]
    listener = site.listener(balancer, DefaultActions=[forward(*groups, first=1, second=3)])
    healthy(site, *groups)
    host = http.client.HTTPConnection(*site.address(listener), timeout=LIMIT)

    def counts(requests: int) -> list[int]:
        for backend in backends:
            backend.seen.clear()
        for _ in range(requests):
            host.request("GET", "/")
            host.getresponse().read()
        return [len(backend.seen) for backend in backends]

    few, many = counts(200)
    site.elb.modify_listener(ListenerArn=listener, DefaultActions=[forward(*groups, first=0, second=1)])
    none = counts(20)
    host.close()

    assert 20 < few < 85  # 50 are expected
    assert few + many == 200
    assert none == [0, 20]


@pytest.mark.fact("Requests in flight finish while their target drains", elb_guide("edit-target-group-attributes"))
@pytest.mark.fact("A draining target gets no new requests", elb_guide("edit-target-group-attributes"))
def test_requests_in_flight_finish(site: Balancing, balancer: str, backends: list[Backend]) -> None:
    leaving, _ = backends
    group = group_of(site, "leaving", *backends)
    listener = site.listener(balancer, group)
    healthy(site, group)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(ask, site, listener, "/hold") for _ in range(2)]
        assert all(backend.holding.acquire(timeout=LIMIT) for backend in backends)
        site.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": leaving.address}])
        before = len(leaving.seen)
        statuses = {ask(site, listener, "/")[0] for _ in range(4)}
        for backend in backends:
            backend.hold.set()

    assert {future.result()[0] for future in held} == statuses == {200}
    assert len(leaving.seen) == before


@pytest.mark.fact("A redirect replaces the parts that it names and keeps the others", elb("RedirectActionConfig"))
def test_redirects_keep_what_they_do_not_name(site: Balancing, listener: str) -> None:
    site.rule(listener, 40, redirect(Protocol="HTTPS", Port="443"))

    status, _, headers = ask(site, listener, "/40?a=b", Host="shop.example")

    assert (status, headers["Location"]) == (301, "https://shop.example:443/40?a=b")


@pytest.mark.parametrize(
    ("condition", "asked", "other"),
    [
        case(
            "Path patterns are case-sensitive, with * and ?", elb("RuleCondition"),
            {"Field": "path-pattern", "Values": ["/a?/*"]}, {"path": "/ab/c"}, {"path": "/Ab/c"},
        ),
        case(
            "Host names are compared without case", elb("RuleCondition"),
            {"Field": "host-header", "Values": ["*.Example.org"]}, {"Host": "a.example.ORG:80"}, {"Host": "b.org"},
        ),
        case(
            "A rule can depend on an HTTP header", LISTENERS,
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Canary", "Values": ["y*"]}},
            {"X_Canary": "Yes"}, {"X_Canary": "no"},
        ),
        case(
            "A rule can depend on the query string", LISTENERS,
            {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "version", "Value": "v?"}]}},
            {"path": "/?x=1&version=v2"}, {"path": "/?version=2"},
        ),
        case(
            "A rule can depend on the method", LISTENERS,
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["PUT"]}},
            {"method": "PUT"}, {"method": "GET"},
        ),
    ],
)  # fmt: skip
def test_rules_choose_requests(
    site: Balancing, balancer: str, condition: dict[str, Any], asked: dict[str, str], other: dict[str, str]
) -> None:
    listener = site.listener(balancer)
    site.rule(listener, 1, fixed("200", "matched"), **condition)

    assert ask(site, listener, **{"path": "/", **asked})[:2] == (200, "matched")
    assert ask(site, listener, **{"path": "/", **other})[0] == 404


@pytest.mark.fact("A rule can depend on the client's address", LISTENERS)
def test_rules_choose_by_address(site: Balancing, balancer: str) -> None:
    listener = site.listener(balancer)
    for priority, network in ((1, "198.51.100.0/24"), (2, "127.0.0.0/8")):
        condition = {"Field": "source-ip", "SourceIpConfig": {"Values": [network]}}
        site.rule(listener, priority, fixed("200", network), **condition)

    assert ask(site, listener, "/")[1] == "127.0.0.0/8"


@pytest.mark.fact("Targets get the client's address, the protocol and the port", elb_guide("x-forwarded-headers"))
def test_targets_get_forwarding_headers(site: Balancing, balancer: str, backends: list[Backend]) -> None:
    group = group_of(site, "headers", backends[0])
    listener = site.listener(balancer, group)
    healthy(site, group)
    ask(site, listener, "/", X_Forwarded_For="203.0.113.7")
    headers = backends[0].seen[0][2]

    assert headers["X-Forwarded-For"] == "203.0.113.7, 127.0.0.1"
    assert (headers["X-Forwarded-Proto"], headers["X-Forwarded-Port"]) == ("http", str(site.address(listener)[1]))
