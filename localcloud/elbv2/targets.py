"""Targets: their health as Elastic Load Balancing reports it, draining, and which one gets the next request.

States, reasons and thresholds:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

import threading
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """The states of a target that are emulated."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNUSED = "unused"
    DRAINING = "draining"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Health:
    """A state with the reason code and the sentence that AWS gives with it."""

    state: State
    reason: str | None = None
    description: str | None = None


HEALTHY = Health(State.HEALTHY)
REGISTERING = Health(State.INITIAL, "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = Health(State.INITIAL, "Elb.InitialHealthChecking", "Initial health checks in progress")
DRAINING = Health(State.DRAINING, "Target.DeregistrationInProgress", "Target deregistration is in progress")
NOT_REGISTERED = Health(State.UNUSED, "Target.NotRegistered", "Target is not registered to the target group")
NOT_IN_USE = Health(
    State.UNUSED, "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
)
CHECKS_DISABLED = Health(State.UNAVAILABLE, "Target.HealthCheckDisabled", "Health checks are disabled for the target")
TIMED_OUT = Health(State.UNHEALTHY, "Target.Timeout", "Request timed out")
CHECK_FAILED = Health(State.UNHEALTHY, "Target.FailedHealthChecks", "Health checks failed")


def wrong_status(status: int) -> Health:
    """Return the health of a target whose health check answered with a status the matcher does not admit."""
    return Health(State.UNHEALTHY, "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]")


def invalid_state(state: str) -> Health:
    """Return the health of a target whose instance is not running."""
    return Health(State.UNUSED, "Target.InvalidState", f"Target is in the {state} state")


@dataclass(frozen=True)
class HealthCheck:
    """How a target group checks its targets; times in seconds."""

    protocol: str = "HTTP"
    path: str = "/"
    port: int | None = None  # None is AWS's `traffic-port`
    interval: float = 30
    timeout: float = 5
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    statuses: frozenset[int] = frozenset({200})
    enabled: bool = True


@dataclass(eq=False)
class Target:
    """One registered (or still draining) target."""

    id: str
    port: int
    health: Health = REGISTERING
    address: str | None = None
    in_flight: int = 0
    next_check: float = 0.0
    checking: bool = False
    drained_by: float | None = None  # set while draining: when the deregistration delay ends
    _passes: int = 0
    _failures: int = 0

    def passed(self, check: HealthCheck) -> None:
        """Count a health check that passed: one is enough for a new target, the threshold for an unhealthy one."""
        self._failures = 0
        self._passes += 1
        if self.health.state is not State.UNHEALTHY or self._passes >= check.healthy_threshold:
            self.health = HEALTHY

    def failed(self, check: HealthCheck, verdict: Health) -> None:
        """Count a health check that failed; the threshold of them in a row makes the target unhealthy."""
        self._passes = 0
        self._failures += 1
        if self._failures >= check.unhealthy_threshold or self.health.state is State.UNHEALTHY:
            self.health = verdict
        elif self.health.state is not State.HEALTHY:
            self.health = CHECKING

    def set_aside(self, verdict: Health) -> None:
        """Mark the target as not checkable for now; its counters restart afterwards."""
        self.health = verdict
        self._passes = self._failures = 0


Key = tuple[str, int]
"""A target: its id and its port. One instance can be registered several times, with different ports."""


@dataclass(eq=False)
class TargetPool:
    """The targets of one target group.

    The API's threads register and deregister, the load balancer's thread checks and picks: changes take the lock,
    while picking reads a tuple that each change replaces whole.
    """

    check: HealthCheck = field(default_factory=HealthCheck)
    scheme: str = "http"
    deregistration_delay: float = 300
    least_outstanding: bool = False
    in_use: bool = False
    source: str | None = None  # whence its health is checked: the address of a load balancer that uses it
    targets: dict[Key, Target] = field(default_factory=dict)
    _routable: tuple[Target, ...] = ()
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def register(self, key: Key) -> None:
        """Add a target, or bring a draining one back; a registered one is left as it is."""
        with self._lock:
            known = self.targets.get(key)
            if known and known.drained_by is None:
                return
            self.targets[key] = Target(*key)
        self.reroute()

    def deregister(self, key: Key, now: float) -> None:
        """Start to drain a target, if it is registered: from here on it gets no new request."""
        with self._lock:
            target = self.targets.get(key)
            if target is None or target.drained_by is not None:
                return
            target.drained_by = now + self.deregistration_delay
            target.health = DRAINING
        self.reroute()
        self.finish_draining(now)

    def finish_draining(self, now: float) -> None:
        """Forget draining targets whose delay is over; until then they are shown, even without requests in flight."""
        with self._lock:
            for key, target in list(self.targets.items()):
                if target.drained_by is not None and now >= target.drained_by:
                    del self.targets[key]

    def use(self, in_use: bool) -> None:
        """Record whether a listener forwards to this group; its targets are checked only then."""
        if in_use and not self.in_use:
            for target in list(self.targets.values()):
                if target.drained_by is None:
                    target.set_aside(REGISTERING)
                    target.next_check = 0.0
        self.in_use = in_use
        self.reroute()

    def health(self, key: Key) -> Health:
        """Return a target's health as DescribeTargetHealth reports it."""
        target = self.targets.get(key)
        if target is None:
            return NOT_REGISTERED
        if target.drained_by is not None:
            return target.health
        if not self.in_use:
            return NOT_IN_USE
        if not self.check.enabled:
            return CHECKS_DISABLED
        return target.health

    def reroute(self) -> None:
        """Recompute which targets get requests: the healthy ones, or, when there is none, all (fail open)."""
        with self._lock:
            reachable = [
                target
                for target in self.targets.values()
                if target.drained_by is None and target.address and target.health.state is not State.UNUSED
            ]
            healthy = [target for target in reachable if target.health.state is State.HEALTHY]
            self._routable = tuple(healthy or reachable)

    def pick(self, avoid: Target | None = None) -> Target | None:
        """Return the target for the next request, if possible not the one to avoid; None when there is no target."""
        routable = self._routable
        if avoid is not None and len(routable) > 1:
            routable = tuple(target for target in routable if target is not avoid)
        if not routable:
            return None
        self._next += 1
        start = self._next % len(routable)
        if not self.least_outstanding:
            return routable[start]
        return min(routable[start:] + routable[:start], key=lambda target: target.in_flight)
