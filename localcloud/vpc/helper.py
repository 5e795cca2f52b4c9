"""The privileged container that configures networks: rules in the instances' namespaces, addresses in the cloud's own.

The cloud itself needs no privileges, and where the engine grants none to this container nothing but filtering is lost.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from localcloud.exceptions import EngineError

if TYPE_CHECKING:
    from localcloud.engine import Engine

SPARE = 2
"""Addresses for load balancers to come, which are made without waiting."""

# The arguments are the id of the cloud's network namespace, the cloud's process, an address that is reached by the
# interface to use, and the addresses to add. A process whose number means another one here is not in that namespace.
_ADD = r"""
for pid in "$2" $(stat -Lc '%i %n' /proc/[0-9]*/ns/net 2>/dev/null | sed -n "s|^$1 /proc/\([0-9]*\)/.*|\1|p"); do
  [ "$(stat -Lc %i "/proc/$pid/ns/net" 2>/dev/null)" != "$1" ] || break
  pid=
done
[ -n "$pid" ] || { echo "the process of the embedded cloud is not visible" >&2; exit 1; }
device=$(nsenter -t "$pid" -n ip -o -4 route get "$3" | sed -n 's/.* dev \([^ ]*\) .*/\1/p')
shift 3
for address; do nsenter -t "$pid" -n ip address replace "$address/32" dev "$device" || exit; done
"""

# The arguments are process, address and rules of each instance. A process that ended may have left its number to
# another one, whose network would be cut off: hence the look at the address. An instance that was started again has
# another hardware address, which this machine learns from the datagram; to the old one it would talk for a minute.
_FILTER = r"""
while [ $# -gt 0 ]; do
  if [ -n "$(nsenter -t "$1" -n ip -o -4 address show to "$2" 2>/dev/null)" ]; then
    error=$(printf '%s\n' "$3" | nsenter -t "$1" -n nft -f - 2>&1) || echo "$2: $error"
    nsenter -t "$1" -n bash -c 'echo >"/dev/udp/$0/53"' "$0" 2>/dev/null
  fi
  shift 3
done
"""


class Helper:
    """The helper of one cloud.

    Args:
        engine: Where it runs.
        image: What it boots: the instances' own image, which has the tools.
    """

    def __init__(self, engine: Engine, image: str) -> None:
        self.engine = engine
        self.image = image
        self.address = ""
        """The embedded cloud's own, from which it looks whether instances answer, and where it serves metadata."""
        self._beyond = ""
        self._sources: dict[str, bool] = {}
        """Whether a load balancer has it, by address."""
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start it, and give the cloud an address in the instances' network.

        Raises:
            EngineError: the engine does not allow it, or the kernel has no nftables.
        """
        self._beyond = self._take()
        self.engine.start_helper(self.image, self._beyond)
        self._run("nft", "add table inet probe; delete table inet probe")
        self.address = self._take()
        self._add([self.address])
        self.refill()

    def refill(self) -> None:
        """Prepare addresses for load balancers to come.

        Raises:
            EngineError: the helper is gone.
        """
        with self._lock:
            missing = SPARE - list(self._sources.values()).count(False)
            added = [address for _ in range(missing) if (address := self.engine.addresses.take())]
            if added:
                self._add(added)
                self._sources.update(dict.fromkeys(added, False))

    def take_source(self) -> str | None:
        """Return an address that a load balancer may connect from, or None when there is none left."""
        for _ in range(2):
            with self._lock:
                for address, taken in self._sources.items():
                    if not taken:
                        self._sources[address] = True
                        return address
            with suppress(EngineError):
                self.refill()
        return None

    def release_sources(self, addresses: Iterable[str] | None = None) -> None:
        """Keep addresses, or all, for other load balancers."""
        with self._lock:
            self._sources.update(dict.fromkeys(self._sources if addresses is None else addresses, False))

    def filter(self, rules: Iterable[tuple[int, str, str]]) -> str:
        """Apply rules, each with an instance's process and address; return what nftables refused, and why.

        Raises:
            EngineError: the helper is gone.
        """
        arguments = chain.from_iterable((str(process), address, text) for process, address, text in rules)
        return self._run("sh", "-c", _FILTER, self.address, *arguments).strip()

    def _add(self, addresses: Sequence[str]) -> None:
        namespace = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 # it is a link that leads to no path
        self._run("sh", "-c", _ADD, "sh", str(namespace), str(os.getpid()), self._beyond, *addresses)

    def _take(self) -> str:
        address = self.engine.addresses.take()
        if address is None:
            raise EngineError(f"the network {self.engine.cidr} has no address left for it")
        return address

    def _run(self, *argv: str) -> str:
        done = self.engine.run_helper(argv)
        if done.exit_code:
            raise EngineError(done.stderr.decode(errors="replace").strip() or f"{argv[0]} failed")
        return done.stdout.decode()
