"""Until an endpoint runs and has answered its health route: a flow that hands each change of its state over.

    look ──▶ a change is handed over ──▶ running? ──▶ its health route ──▶ 200: the result
      ▲                                     │                │
      │                                     │ no             │ anything else, or nothing in time
      └──────────── poll seconds ◀──────────┴────────────────┘

It ends with an error where waiting leads nowhere: an endpoint that failed, whose update failed, that is paused or
scaled to zero. A state that nobody knows is shown, and waited through. Each question after its health has a time of its
own, so that one that hangs holds up neither the looks nor the deadline.
"""

from __future__ import annotations

from typing import Final

from ..errors import (
    AuthenticationError,
    DecodeError,
    InferenceEndpointError,
    InferenceEndpointTimeoutError,
    InferenceTimeoutError,
    PermissionDeniedError,
    ProviderError,
    ServerError,
    TransportError,
)
from ..protocol.events import EndpointState
from ..protocol.flow import Call, Emit, Flow, Request, Send, Sleep, TrustOrigin
from .addresses import page_of, split
from .flows import health_url, look, namespace_of
from .types import EndpointInfo

LOOK_INTERVAL_SECONDS: Final = 5.0
HEALTH_SECONDS: Final = 10.0
"""How long one question after an endpoint's health may take."""
MOST_FAILED_LOOKS: Final = 5
"""How often in a row the API may fail to say how an endpoint is, each time with the engine's own retries."""

ENDS: Final = {
    "failed": "it failed",
    "updateFailed": "its update failed",
    "paused": "it is paused, and stays so until somebody resumes it",
    "scaledToZero": "it scaled to zero, and stays so until it is resumed or a request wakes it",
}
"""States that no waiting leads out of, in words."""


def wait(
    call: Call,
    *,
    name: str,
    namespace: str | None,
    poll: float = LOOK_INTERVAL_SECONDS,
    before: str | None = None,
    looks: int = 0,
) -> Flow[EndpointInfo]:
    """The endpoint, running and well.

    `before`: the state that it has just been asked to leave, in which the API may show it for so many `looks` more.
    """
    said, own = split(name, namespace)
    place = yield from namespace_of(call, said)
    told: EndpointState | None = None
    failed = 0
    try:
        while True:
            try:
                endpoint = yield from look(call, place, own)
                failed = 0
            except (ServerError, TransportError):
                failed += 1
                if failed == MOST_FAILED_LOOKS:
                    raise
                yield Sleep(poll)
                continue
            if endpoint.state != told:
                told = endpoint.state
                yield Emit(told)
            if endpoint.status != before:
                looks = 0
            if endpoint.status in ENDS and not looks:
                raise not_running(endpoint)
            looks -= looks > 0
            if endpoint.status == "running" and endpoint.url is not None and (yield from _is_well(call, endpoint)):
                return endpoint
            yield Sleep(poll)
    except InferenceTimeoutError as late:
        raise _too_late(late, f"{place}/{own}", told) from None


def _is_well(call: Call, endpoint: EndpointInfo) -> Flow[bool]:
    """Whether it answers its health route. Raises the refusal of one that does not let this token in."""
    yield TrustOrigin(endpoint.url or "")
    try:
        yield Send(Request(method="GET", url=health_url(endpoint), opaque=True), HEALTH_SECONDS)
    except (AuthenticationError, PermissionDeniedError):
        raise
    except InferenceTimeoutError as late:
        if late.phase == "total":
            raise
        return False
    except (ProviderError, TransportError, DecodeError):
        return False
    return True


def not_running(endpoint: EndpointInfo) -> InferenceEndpointError:
    """The error for an endpoint that waiting does not help."""
    why = ENDS.get(endpoint.status, f"it is {endpoint.status!r}, and has no URL yet")
    said = f": {endpoint.message}" if endpoint.message else ""
    page = page_of(endpoint.namespace, endpoint.name)
    error = InferenceEndpointError(f"the endpoint {endpoint.full_name} does not run: {why}{said} (logs: {page})")
    error.endpoint, error.state = endpoint.full_name, endpoint.status
    return error


def _too_late(late: InferenceTimeoutError, name: str, told: EndpointState | None) -> InferenceTimeoutError:
    """The deadline's error, which says how far the endpoint was."""
    if told is None:
        return late
    said = f": {told.message}" if told.message else ""
    where = "runs, but has not answered its health route" if told.state == "running" else f"is {told.state!r}{said}"
    error = InferenceEndpointTimeoutError(f"the endpoint {name} {where}; {late.message}")
    error.phase, error.endpoint, error.state = late.phase, name, told.state
    return error
