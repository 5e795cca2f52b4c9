"""Waiting for a service's turn to be free, without a worker slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import TriggerEvent

from rebake import turn
from rebake.faults import is_transient
from rebake.hooks.turns import TurnsHook
from rebake.triggers.base import DeadlineTrigger


class TurnTrigger(DeadlineTrigger):
    """Waits until the turn that another run has is over: given back, taken from it, or past its time.

    The event is `{"token": number of the turn that is over}`. It promises nothing: whoever waited tries to take the
    turn, and waits again if another was faster.

    Args:
        bucket: the environment's bucket.
        service: name of the service.
        token: number of the turn that is waited for.
        **kwargs: those of `DeadlineTrigger`; the deadline is when that turn is void.
    """

    def __init__(self, *, bucket: str, service: str, token: int, **kwargs: Any) -> None:
        super().__init__(fields={"bucket": bucket, "service": service, "token": token}, **kwargs)
        self.bucket = bucket
        self.service = service
        self.token = token

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        async with await TurnsHook(**self.connection).get_async_conn() as s3:
            while True:
                if await self._is_free(s3) or self.is_over:
                    break
                await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent({"token": self.token})

    async def _is_free(self, s3: Any) -> bool:
        try:
            # No run is called "": so this is the turn of whoever has it.
            now = await turn.taken_by_another(s3, self.bucket, self.service, "")
        except Exception as error:
            if not is_transient(error):
                raise
            self.log.info("S3 does not answer, asking again: %s", error)
            return False
        return now is None or now.token != self.token or not now.is_open(datetime.now(UTC))
