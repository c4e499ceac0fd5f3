"""A task at an Inference Endpoint that is known by its name: it is looked up, and then asked as the server that it is.

What was looked up is remembered for a minute, unless the endpoint cannot be asked: then another provider may be.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from ..protocol.flow import Cached, Call, Flow, TaskFlow, TrustOrigin
from .flows import located, look
from .types import EndpointInfo
from .wait import not_running

REMEMBERED_SECONDS: Final = 60.0
_ASLEEP: Final = frozenset({"paused", "failed"})


def at_endpoint(call: Call, *, endpoint: str, task: TaskFlow) -> Flow[Any]:
    """The task at this endpoint, which is asked for the model that it has, unless the call knows its model there.

    Raises `InferenceEndpointError` for one that is paused, failed, or has no URL yet.
    """
    namespace, name = yield from located(call, endpoint, None)
    found: EndpointInfo = yield Cached(
        ("endpoint", call.provider, namespace, name), lambda: _awake(call, namespace, name), REMEMBERED_SECONDS
    )
    url = found.url or ""
    yield TrustOrigin(url, sleeps=True)
    model = call.model or name
    return (yield from task(replace(call, provider="url", base=url.rstrip("/"), url=url, model=model, hub_id=model)))


def _awake(call: Call, namespace: str, name: str) -> Flow[EndpointInfo]:
    found = yield from look(call, namespace, name)
    if found.url is None or found.status in _ASLEEP:
        raise not_running(found)
    return found
