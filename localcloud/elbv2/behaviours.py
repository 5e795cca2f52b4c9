"""What is emulated of load balancers, and which actions are changed; see `localcloud.coverage`."""

from localcloud.coverage import UNDOCUMENTED, Behaviour, absent, partial

GUIDE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application"
HEALTH = f"[user guide]({GUIDE}/target-group-health-checks.html)"
GROUPS = f"[user guide]({GUIDE}/load-balancer-target-groups.html)"
LISTENERS = f"[user guide]({GUIDE}/load-balancer-listeners.html)"
ERRORS = f"[user guide]({GUIDE}/load-balancer-troubleshooting.html)"
HEADERS = f"[user guide]({GUIDE}/x-forwarded-headers.html)"

BEHAVIOURS = (
    Behaviour("HTTP listeners forward, round robin", GROUPS, "test_requests_are_spread_over_healthy_targets"),
    Behaviour("least_outstanding_requests", GROUPS, "test_least_outstanding_requests_avoids_a_busy_target"),
    Behaviour("Health checks with thresholds, codes and timeout", HEALTH,
              "test_target_needs_one_success_at_first_and_the_threshold_later"),
    Behaviour("States and reasons of DescribeTargetHealth", HEALTH, "test_reasons_are_reported"),
    Behaviour("Fails open when no target is healthy", HEALTH, "test_fails_open_when_no_target_is_healthy",
              note="As with the default of one healthy target; the attribute itself is ignored."),
    Behaviour("Deregistration drains: no new requests, those in flight finish, for the delay at most", GROUPS,
              "test_draining_lets_requests_finish_and_sends_no_new_ones"),
    Behaviour("Draining lasts for the delay, also without requests in flight", GROUPS,
              "test_idle_target_drains_for_the_whole_delay"),
    Behaviour("502, 503 and 504", ERRORS, "test_refused_connection_is_502"),
    Behaviour("X-Forwarded-* and X-Amzn-Trace-Id", HEADERS, "test_target_receives_the_clients_address"),
    Behaviour("An idempotent request whose connection died before any answer is sent once more", UNDOCUMENTED,
              "test_idempotent_request_is_retried_once"),
    partial("Rules", LISTENERS, "test_rules_choose_by_path_and_host",
            "Forward, fixed response, redirect, by every condition. The others are refused."),
    partial("HTTPS listeners, with certificates of ACM and IAM", LISTENERS,
            "test_https_listener_forwards_to_https_targets", "TLS 1.2 and 1.3. Mutual authentication is refused."),
    absent("TCP and other protocols of listeners", LISTENERS, "Refused."),
    absent("Stickiness, slow start, access logs, WebSockets, HTTP/2", GROUPS, "Attributes are recorded and ignored."),
    absent("Quotas, but of tags", f"[user guide]({GUIDE}/load-balancer-limits.html)", "There are none."),
)  # fmt: skip

ACTIONS = {
    "CreateLoadBalancer": "has a loopback address of its own as DNS name; checks name, zones and groups; idempotent",
    "DeleteLoadBalancer": "closes its ports; heeds deletion protection",
    "DescribeLoadBalancers": "pages; unknown ones are refused",
    "ModifyLoadBalancerAttributes": "refuses unknown names and values",
    "SetSecurityGroups": "answers with the groups; its network interfaces follow",
    "CreateListener": "listens, for HTTP or HTTPS; idempotent",
    "ModifyListener": "moves to another port or protocol; a refused change changes nothing",
    "DeleteListener": "closes its port",
    "DescribeListeners": "unknown ones are refused",
    "AddListenerCertificates": "served by the host's name",
    "DescribeListenerCertificates": "the default one first",
    "RemoveListenerCertificates": "never the default one",
    "DescribeSSLPolicies": "unknown ones are refused",
    "CreateRule": "refuses what it would not follow",
    "ModifyRule": "as CreateRule",
    "DeleteRule": "requests follow at once; the default one stays",
    "DescribeRules": "pages",
    "SetSubnets": "its network interfaces follow",
    "SetRulePriorities": "requests follow at once; rules can be swapped",
    "CreateTargetGroup": "its targets are checked; idempotent",
    "DescribeTargetGroups": "pages",
    "ModifyTargetGroup": "checks change at once; a refused change changes nothing",
    "ModifyTargetGroupAttributes": "delay and algorithm are honoured; refuses unknown names and values",
    "DeleteTargetGroup": "checks end",
    "RegisterTargets": "targets, each an id and a port, get requests once healthy; unknown ones are refused",
    "DeregisterTargets": "drains",
    "DescribeTargetHealth": "what the checks found; moto's targets are always healthy",
    "AddTags": "50 a resource",
    "DescribeTags": "20 resources; unknown ones are refused",
}
