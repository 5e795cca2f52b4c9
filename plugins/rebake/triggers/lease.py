"""Waiting for a service's lease to be free, without a worker slot."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow.triggers.base import TriggerEvent

from rebake.aws_errors import is_transient
from rebake.config import Environment
from rebake.hooks.lease import LeaseHook
from rebake.release import lease
from rebake.triggers.base import DeadlineTrigger

_GRACE: Final = timedelta(seconds=120)
"""After the trigger's own deadline, when Airflow ends the deferral, should the trigger not."""


class LeaseTrigger(DeadlineTrigger):
    """Waits until the lease of another run has ended: released, preempted, or expired.

    The event is `{"token": number of that lease}`. It promises nothing: the waiting task tries to acquire the lease,
    and waits again if another run was faster.

    Args:
        bucket: the environment's bucket.
        service: name of the service.
        token: number of the lease to wait for.
        **kwargs: those of `DeadlineTrigger`; the deadline is when that lease expires.
    """

    def __init__(self, *, bucket: str, service: str, token: int, **kwargs: Any) -> None:
        super().__init__(fields={"bucket": bucket, "service": service, "token": token}, **kwargs)
        self.bucket = bucket
        self.service = service
        self.token = token

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        async with await LeaseHook(**self.connection).get_async_conn() as s3:
            while True:
                if await self._is_free(s3) or self.is_over:
                    break
                await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent({"token": self.token})

    async def _is_free(self, s3: Any) -> bool:
        try:
            # No run is called "", so this returns the lease whichever run holds it.
            now = await lease.held_by_another(s3, self.bucket, self.service, "")
        except Exception as error:
            if not is_transient(error):
                raise
            self.log.info("S3 did not answer; trying again: %s", error)
            return False
        return now is None or now.token != self.token or not now.is_open(datetime.now(UTC))


def until_over(other: lease.Lease, service: str, environment: Environment) -> dict[str, Any]:
    """Return the arguments of `defer` that make an operator wait for the end of a lease.

    It goes on with its method `lease_ended`.

    Args:
        other: the lease that another run has.
        service: name of the service.
        environment: where it runs.
    """
    trigger = LeaseTrigger(
        bucket=environment.bucket,
        service=service,
        token=other.token,
        deadline=other.until.timestamp(),
        poll_seconds=environment.poll_seconds,
        **environment.connection,
    )
    timeout = max(other.until - datetime.now(UTC), timedelta(0)) + _GRACE
    return {"trigger": trigger, "method_name": "lease_ended", "timeout": timeout}
