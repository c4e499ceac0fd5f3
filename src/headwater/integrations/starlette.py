"""`EventStreamResponse`: a run as the answer of a Starlette or FastAPI endpoint.

It is no `StreamingResponse` around a generator: where the server speaks ASGI 2.4 that one notices a browser that left
at the next write alone, and it drops a generator that is suspended at a `yield` for the garbage collector to close.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..engine.run import AsyncRun
from ..errors import HeadwaterError
from . import require_extra
from .sse import HEADERS, HEARTBEAT, Encode, EventStream, public_error

with require_extra("web", "starlette"):
    from starlette.background import BackgroundTask
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send


class EventStreamResponse(Response):
    """The events of a run as they come: `return EventStreamResponse(client.chat_completion.stream(messages))`.

    The run is closed when the browser goes away. `encode`, `describe` and `heartbeat` are `EventStream`'s; `headers`
    are further ones; `background` runs after the answer, whole or not.
    """

    def __init__(
        self,
        run: AsyncRun[Any, Any],
        *,
        encode: Encode = msgspec.json.encode,
        describe: Callable[[HeadwaterError], Mapping[str, Any]] = public_error,
        heartbeat: float = HEARTBEAT,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.status_code = 200
        self.background = background
        self.init_headers({name.decode(): value.decode() for name, value in HEADERS} | dict(headers or {}))
        self._events = EventStream(run, encode=encode, describe=describe, heartbeat=heartbeat)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._events.headers = self.raw_headers  # cookies and the like were added since
        await self._events(scope, receive, send)
        if self.background is not None:
            await self.background()
