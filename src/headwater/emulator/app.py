"""The emulator as an ASGI application: checks a request, records it, finds its dialect, and sends the answer.

Refuses, before any dialect sees them: a Host header that is not loopback's (421: a web page that points its
own name here), credentials that look real (400), bodies over 64 MiB (413), paths that nobody serves (404),
methods that a path does not serve (405), and keys that are not among the ``api_keys`` (401, in the vendor's
shape).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from . import places, secrets
from .answer_sender import AnswerSender, EventPace
from .dialects import (
    anthropic,
    black_forest_labs,
    cdn,
    fal,
    hf_inference,
    hub,
    inference_endpoints,
    moderations,
    novita,
    openai,
    openai_text,
    pictures,
    replicate,
    rerank,
    responses,
    speech,
    tei,
    tgi,
    together_media,
    wavespeed,
    zai,
)
from .traffic import RecordedRequest, Traffic
from .wire import Dialect, DialectAnswer, DialectRequest, RefusedError, Route, WholeAnswer

DIALECTS: tuple[Dialect, ...] = (
    inference_endpoints.DIALECT,
    cdn.DIALECT,
    fal.DIALECT,
    replicate.DIALECT,
    together_media.DIALECT,
    novita.DIALECT,
    wavespeed.DIALECT,
    zai.DIALECT,
    black_forest_labs.DIALECT,
    hub.DIALECT,
    speech.DIALECT,
    pictures.DIALECT,
    moderations.DIALECT,
    rerank.DIALECT,
    anthropic.DIALECT,
    openai.DIALECT,
    openai_text.DIALECT,
    responses.DIALECT,
    tei.DIALECT,
    inference_endpoints.HEALTH,
    tgi.DIALECT,
    hf_inference.DIALECT,
)
"""Asked in this order; the first one with a route for the path answers."""

MAX_BODY = 64 * 2**20
HOSTS = frozenset(("127.0.0.1", "localhost", "[::1]"))
SLOW = 0.05
MAX_DELAY = 60.0


def plainly(status: int, message: str) -> RefusedError:
    """A refusal of the emulator's own, in no vendor's name."""
    return RefusedError(WholeAnswer({"error": message}, status))


@dataclass(frozen=True, slots=True)
class App:
    """The application. ``keys`` are digests of the accepted API keys, None if everybody may call.

    ``cdn`` is the origin that results are served from, by this same application, at a port of its own.
    """

    traffic: Traffic
    keys: frozenset[str] | None = None
    cdn: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            call = await received(request, self.at_cdn(scope))
        except ClientDisconnect:
            self.traffic.left()
            return
        except RefusedError as refused:
            await AnswerSender(self.traffic, EventPace(), receive, send).run(refused.answer, {"connection": "close"})
            return
        self.traffic.record(recorded(call))
        answer, pace = self.answer(call)
        await AnswerSender(self.traffic, pace, receive, send).run(answer, {"x-request-id": call.digest("request")})

    def answer(self, call: DialectRequest) -> tuple[DialectAnswer, EventPace]:
        """The answer and its pace; a refusal goes out at once."""
        try:
            traffic = self.traffic
            call = replace(call, jobs=traffic.jobs, script=traffic.scripts, endpoints=traffic.endpoints)
            call = places.placed(inference_endpoints.entered(call), self.cdn)
            dialect, route, model = resolve(call)
            self.authorize(call, dialect)
            if route.json and not isinstance(call.json, dict):
                raise dialect.refuse(call, 400, "We could not parse the JSON body of your request.")
            call = replace(call, model=model or named(call))
            self.behave(call, dialect)
            answer = route.answer(call)
            return answer, self.pace(call, answer.gate if isinstance(answer, WholeAnswer) else "")
        except RefusedError as refused:
            return refused.answer, EventPace()

    def authorize(self, call: DialectRequest, dialect: Dialect) -> None:
        if dialect.public:
            return
        if wrong := places.authorized(call, self.keys):
            raise places.router_refusal() if call.place.mode == "routed" else dialect.refuse(call, 401, wrong)

    def behave(self, call: DialectRequest, dialect: Dialect) -> None:
        """The refusals that a model's name asks for."""
        if "missing" in call.model:
            raise dialect.refuse(call, 404, f"The model `{call.model}` does not exist")
        if "loading" in call.model and dialect is not hub.DIALECT and self.traffic.first_call(call.model):
            message = f"Model {call.model} is currently loading"
            raise RefusedError(WholeAnswer({"error": message, "estimated_time": 0.2}, 503))

    def at_cdn(self, scope: Scope) -> bool:
        """Whether a request came to the port that results are served from."""
        return self.cdn.endswith(f":{scope['server'][1]}")

    def pace(self, call: DialectRequest, gate: str = "") -> EventPace:
        """How fast it is answered; ``gate``: the answer's own."""
        if gate:
            return EventPace(0.0, self.traffic.gate(gate))
        delay = asked(call, "x-emulator-delay", SLOW if "slow" in call.model else 0.0, MAX_DELAY)
        asked_gate = call.headers.get("x-emulator-gate")
        after = int(asked(call, "x-emulator-gate-after", 0.0, math.inf))
        return EventPace(delay, None if asked_gate is None else self.traffic.gate(asked_gate), after)


async def received(request: Request, at_cdn: bool = False) -> DialectRequest:
    """The request with its whole body, if it is one that may be looked at; one to the CDN under ``/cdn``."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    host = headers.get("host", "").lower()
    if host.partition(":")[0] not in HOSTS and host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
        raise plainly(421, "The emulator answers to the names of this machine only: 127.0.0.1, localhost, [::1].")
    if secrets.looks_real((request.url.path, request.url.query, *headers.values())):
        raise plainly(400, "The emulator refuses credentials that look real: use a made-up one, such as hf_test.")
    body = await bounded(request)
    path = "/cdn" + request.url.path if at_cdn else request.url.path
    return DialectRequest(request.method, path, dict(request.query_params), headers, body, parsed(body))


async def bounded(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise plainly(413, f"The emulator reads bodies of at most {MAX_BODY} bytes.")
    return bytes(body)


def parsed(body: bytes) -> Any:
    """The body's JSON, or None: RecursionError is what deep nesting comes to."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def recorded(call: DialectRequest) -> RecordedRequest:
    headers = secrets.masked(call.headers)
    return RecordedRequest(call.method, call.path, call.query, headers, call.json, secrets.credentials(call.headers))


def resolve(call: DialectRequest) -> tuple[Dialect, Route, str]:
    """The dialect and the route that serve a path, and the model that the path names."""
    found = list(routes(call.path))
    for dialect, route, model in found:
        if route.method == call.method:
            return dialect, route, model
    if found:
        raise plainly(405, f"Method {call.method} is not allowed for {call.path}.")
    raise plainly(404, f"The emulator serves nothing at {call.path}: see the documentation of headwater.emulator.")


def routes(path: str) -> Iterator[tuple[Dialect, Route, str]]:
    for dialect in DIALECTS:
        for route in dialect.routes:
            if match := route.pattern.search(path):
                yield dialect, route, match.groupdict().get("model") or ""


def named(call: DialectRequest) -> str:
    """The model that a body names."""
    model = call.json.get("model") if isinstance(call.json, dict) else None
    return model if isinstance(model, str) else ""


def asked(call: DialectRequest, header: str, default: float, most: float) -> float:
    """The number in one of the emulator's own headers, from 0 to ``most``."""
    text = call.headers.get(header)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most or number == math.inf:
        raise plainly(400, f"{header}: expected a number from 0 to {most}, got {text!r}.")
    return number
