"""Every fault of the fault server, through every client: what was sent arrives whole, or a typed error says why not.

A row is a fault, the kind of call, what must come of it, and how many requests the server may see. Retries do not
wait here: how long they wait is tested where time is virtual.
"""

from __future__ import annotations

import base64
import pickle
import select
import ssl
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import anyio
import anyio.to_thread
import httpx
import pytest
import trustme
from support.drivers import Driver
from support.http2_gateway import gateway_to
from support.http2_server import Http2Server, serving_http2
from support.proxy_server import ProxyServer, proxying

import headwater
from headwater import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    HeadwaterError,
    IncompleteStreamError,
    InferenceTimeoutError,
    MalformedEventError,
    ProviderError,
    RateLimitError,
    RedirectError,
    ResponseTooLargeError,
    ServerError,
    Timeout,
    TransportError,
    UnexpectedContentError,
)
from headwater.emulator import faults

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
LOGIN = ("user", "qzx81vbn4w-f0r-matrix")
CANARY = "sk-canary/canary+1234567890abcdef"
SPELLINGS = (
    CANARY,
    quote(CANARY, safe=""),
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
    CANARY[-8:],
)
TIMEOUT = Timeout(total=20, connect=10, first_event=10, idle=10)
SHORT_START = Timeout(total=20, connect=10, first_event=0.4, idle=10)
SHORT_IDLE = Timeout(total=20, connect=10, first_event=10, idle=0.4)
ENDING = Timeout(total=0.4)
STOPPED = 5.0
"""Seconds, generous: what has a limit of 0.4 s must have ended by then."""
RAW = (httpx.HTTPError, ValueError, RecursionError, UnicodeError, KeyError, AttributeError)
OURS = str(Path(headwater.__file__).parent)
WHOLE = "whole"
IMAGE = "(1, 1) L"
MIB = 1024 * 1024
SMALL = 2 * MIB

Want = str | type[HeadwaterError] | tuple[type[HeadwaterError], ...]


class Row(NamedTuple):
    """`want`: `WHOLE`, the error's classes, or a timeout's phase. `requests`: how many the server sees."""

    fault: str
    kinds: str
    want: Want
    requests: int = 1
    parameters: dict[str, Any] = {}  # noqa: RUF012 - never changed
    timeout: Timeout = TIMEOUT
    most: int | None = None
    """The client's `max_response_bytes`; a small one is reached at once on any machine."""


BOTH = "stream unary"
ALL = "stream unary binary"
LOST = (TransportError, IncompleteStreamError)
ROWS = [
    Row("ok", ALL, WHOLE),
    # the connection
    Row("reset_before_response", ALL, ConnectionLostError, 3),
    Row("reset_first", ALL, WHOLE, 2),
    Row("fin_before_response", ALL, ConnectionLostError, 3),
    Row("stale_keepalive", "twice", WHOLE, 3),
    Row("fin_after_response", ALL, WHOLE),
    Row("fin_after_response", "twice", WHOLE, 2),
    Row("hang_before_headers", ALL, "first_event", timeout=SHORT_START),
    Row("early_413", ALL, headwater.InvalidRequestError),
    # the head
    Row("slow_headers", ALL, "first_event", timeout=SHORT_START),
    Row("reset_after_headers", ALL, LOST, 3),
    Row("huge_headers", ALL, ResponseTooLargeError),
    Row("endless_headers", ALL, ResponseTooLargeError),
    Row("endless_1xx", ALL, "first_event", timeout=SHORT_START),
    Row("endless_1xx", ALL, ResponseTooLargeError, 1, {"pause": 0.0}),
    Row("garbage_head", ALL, TransportError, 3),
    # streams: ends that are no end
    Row("sse_reset", "stream", IncompleteStreamError),
    Row("sse_stall", "stream", "idle", timeout=SHORT_IDLE),
    Row("sse_slow_bytes", "stream", "first_event", timeout=SHORT_START),
    Row("sse_keepalives", "stream", "idle", timeout=SHORT_IDLE),
    Row("sse_keepalives", "stream", "idle", 1, {"pause": 0.0}, SHORT_IDLE),
    Row("sse_keepalives", "stream", "first_event", 1, {"pause": 0.0, "n": 0}, SHORT_START),
    Row("sse_flood", "stream", "total", timeout=ENDING),
    Row("sse_forever", "stream", "total", timeout=ENDING),
    Row("sse_trunc_chunk", "stream", IncompleteStreamError),
    Row("sse_no_last_chunk", "stream", IncompleteStreamError),
    Row("sse_clean_end_early", "stream", IncompleteStreamError),
    Row("sse_eof_framed_early", "stream", IncompleteStreamError),
    Row("sse_cut_mid_event", "stream", (IncompleteStreamError, MalformedEventError)),
    Row("sse_no_done", "stream", WHOLE),
    Row("sse_no_done_no_finish", "stream", IncompleteStreamError),
    Row("sse_done_left_open", "stream", WHOLE),
    Row("ollama_null_finish", "stream", WHOLE),
    Row("length_too_long", "stream", IncompleteStreamError),
    Row("length_too_long", "unary binary", TransportError, 3),
    Row("length_too_short", "stream", IncompleteStreamError),
    Row("length_too_short", "unary binary", (TransportError, DecodeError)),
    Row("length_short_by_one", "stream", WHOLE),  # it lacks the last line end alone
    Row("length_short_by_one", "unary binary", (TransportError, DecodeError)),
    Row("length_twice", ALL, TransportError, 3),
    # streams: size
    Row("sse_big_line", "stream", ResponseTooLargeError, 1, {"mb": 4}, most=SMALL),
    Row("sse_endless_line", "stream", ResponseTooLargeError, most=SMALL),
    Row("sse_endless_event", "stream", ResponseTooLargeError, most=SMALL),
    # bodies
    Row("gzip_bomb", ALL, ResponseTooLargeError, 1, {"mb": 4}, most=SMALL),
    Row("gzip_bomb_error", ALL, ProviderError, 1, {"mb": 16}),
    Row("gzip_truncated", ALL, LOST, 3),
    Row("gzip_corrupt", ALL, DecodeError),
    Row("big_json", "unary", ResponseTooLargeError, 1, {"mb": 4}, most=SMALL),
]
"""What connections and streams meet: on every driver."""
READ_ROWS = [
    # the status
    Row("s401", ALL, AuthenticationError),
    Row("s408", ALL, ServerError, 3),
    Row("s409", ALL, headwater.ConflictError, 3),
    Row("s425", ALL, ServerError, 3),
    Row("s500", ALL, ServerError, 3),
    Row("s529", ALL, headwater.OverloadedError, 3),
    Row("s500_burst", ALL, WHOLE, 3),
    Row("s429_seconds", ALL, WHOLE, 2),
    Row("s429_date", ALL, WHOLE, 2),
    Row("s429_header", ALL, WHOLE, 2),
    Row("s429_absurd", ALL, RateLimitError),
    Row("s429_nan", ALL, RateLimitError, 3),
    Row("s503_loading", ALL, WHOLE, 2),
    Row("s502_html", ALL, ServerError, 3),
    Row("s200_html", ALL, UnexpectedContentError),
    Row("s200_empty", ALL, UnexpectedContentError),
    Row("s200_error_json", ALL, ProviderError),
    Row("s500_endless_body", ALL, ServerError, 1, {}, Timeout(total=20, connect=10, first_event=2, idle=10)),
    Row("echo_token_error", ALL, AuthenticationError),
    *(Row("status", ALL, ProviderError, 1, {"code": code}) for code in (400, 402, 403, 404, 418, 422, 501)),
    *(Row("status", ALL, ProviderError, 3, {"code": code}) for code in (502, 503, 504)),
    # redirects
    Row("redirect_other", ALL, RedirectError),
    Row("redirect_port", ALL, RedirectError),
    Row("redirect_loop", ALL, RedirectError),
    Row("redirect_file", ALL, RedirectError),
    # streams: bytes and lines
    Row("sse_bad_utf8", "stream", (DecodeError, IncompleteStreamError)),
    *(
        Row(f"sse_{name}", "stream", WHOLE)
        for name in (
            *("split_utf8", "crlf", "cr", "mixed_eol", "bom", "crlf_split", "unicode_breaks", "nospace"),
            *("multiline_data", "fields", "no_final_blank", "role_null", "usage_tail", "duplicates", "after_done"),
        )
    ),
    # streams: errors inside, odd events
    *(
        Row(f"sse_{name}", "stream", ServerError)
        for name in ("error_object", "error_string", "error_event", "error_then_done")
    ),
    Row("sse_error_beside_choices", "stream", ServerError),
    Row("sse_finish_error", "stream", ServerError),
    Row("sse_bad_json", "stream", MalformedEventError),
    Row("sse_wrong_types", "stream", MalformedEventError),
    # JSON
    Row("deep_json", BOTH, DecodeError, parameters={"depth": 1_000_000}),  # 100,000 is read by Python 3.14
    Row("big_int", BOTH, WHOLE),
    Row("json_truncated", "unary", DecodeError),
    Row("json_wrong_types", "unary", DecodeError),
]
"""What is read in what came, alike on every driver: dealt out."""
CELLS = [(row, kind) for row in (*ROWS, *READ_ROWS) for kind in row.kinds.split()]
LARGE = ("gzip_bomb", "gzip_bomb_error", "big_json", "sse_big_line", "sse_endless_line", "sse_endless_event")


def named(cell: tuple[Row, str]) -> str:
    row, kind = cell
    more = "".join(f"~{name}={value}" for name, value in row.parameters.items())
    return f"{row.fault}{more}-{kind}"


@pytest.fixture(scope="module")
def right(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The cells that were right; their number is said at the end."""
    found: list[str] = []
    failed = request.session.testsfailed
    yield found
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(
            f"\n{len(found)} cells of the fault matrix are right, {request.session.testsfailed - failed} tests are not"
        )


def test_every_fault_is_in_the_matrix() -> None:
    assert {row.fault for row, _ in CELLS} == set(faults.FAULTS) - {"cut", "redirect"}  # those have tests of their own


@pytest.fixture(scope="module")
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


async def ask(client: Any, kind: str) -> str:
    """The text that came; an image's size and mode, for the binary task."""
    if kind == "stream":
        return await streamed(client)
    if kind == "binary":
        image = await client.text_to_image("hi")
        await anyio.to_thread.run_sync(image.load)
        return f"{image.size} {image.mode}"
    for _ in range(2 if kind == "twice" else 1):
        out = await client.chat_completion(MESSAGES)
    text: str = out.choices[0].message.content
    return text


async def streamed(client: Any) -> str:
    """The text of a stream, by its events and by its result."""
    text = ""
    async with client.chat_completion.stream(MESSAGES) as run:
        try:
            async for chunk in run:
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        except HeadwaterError as error:
            assert (error.partial.choices[0].message.content if text else error.partial) == (text or None)
            assert (faults.TEXT * (len(text) // len(faults.TEXT) + 1)).startswith(text)
            raise
        assert (await run.result()).choices[0].message.content == text
    return text


def errors_of(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and those of its attempts."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [e for e in (one.__cause__, one.__context__) if e is not None]
        waiting += [a.error for a in getattr(one, "attempts", ()) if a.error is not None]


def shown(error: BaseException) -> str:
    """All that a report of this error may show, with the locals of the library's own frames."""
    texts = [str(error), repr(error), repr(vars(error)), repr(pickle.loads(pickle.dumps(error)).__dict__)]
    texts += traceback.format_exception(error)
    for one in errors_of(error):
        texts += [str(one), repr(one), *getattr(one, "__notes__", ())]
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename.startswith(OURS):
                named = frame.f_locals.items()
                texts += [
                    f"{frame.f_code.co_qualname}: {name}={value!r}" for name, value in named if not is_body(value)
                ]
    return "\n".join(texts)


def is_body(value: object) -> bool:
    """Whether this is the large body that a fault sent, whose repr would take seconds."""
    return isinstance(value, list) and len(value) > 50 and all(isinstance(piece, bytes) for piece in value)


def refute_secrets(error: BaseException) -> None:
    text = shown(error)
    lines = [line for line in text.splitlines() if any(s in line for s in SPELLINGS)]
    assert not lines, [line[:300].replace(CANARY, "<canary>") for line in lines]


def check(row: Row, kind: str, outcome: str | BaseException) -> None:
    if row.want == WHOLE:
        assert outcome == (IMAGE if kind == "binary" else faults.text_of(row.fault))
        return
    assert isinstance(outcome, HeadwaterError), outcome
    for error in errors_of(outcome):
        if isinstance(error, HeadwaterError):
            assert not isinstance(error, RAW)
    if isinstance(row.want, str):
        assert isinstance(outcome, InferenceTimeoutError), outcome
        assert outcome.phase == row.want
    else:
        assert isinstance(outcome, row.want), outcome
    assert outcome.provider == "url"
    assert outcome.task == ("text-to-image" if kind == "binary" else "chat-completion")
    assert outcome.elapsed is not None
    assert outcome.elapsed < (TIMEOUT.total or 0 if row.timeout is TIMEOUT else STOPPED)
    assert len(outcome.attempts) == max(row.requests, 1)
    refute_secrets(outcome)


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, marks=pytest.mark.dealt if cell[0] in READ_ROWS else ()) for cell in CELLS], ids=named
)
async def test_a_cell(
    cell: tuple[Row, str],
    driver: Driver,
    server: faults.FaultServer,
    monkeypatch: pytest.MonkeyPatch,
    right: list[str],
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    right.append(await meet(cell, driver, server))


THROUGH = {
    *("ok", "reset_before_response", "reset_first", "stale_keepalive", "hang_before_headers"),
    *("early_413", "reset_after_headers", "garbage_head", "s500_burst", "s429_seconds", "redirect_other", "sse_reset"),
    *("sse_stall", "sse_keepalives", "sse_trunc_chunk", "sse_clean_end_early", "sse_done_left_open", "sse_forever"),
}
"""Faults that a proxy on the way could change; what only bytes of an answer mean, it cannot."""
CELLS_AT_ONCE = 6
"""Of one test: more would wait for the processor for as long as the limits of time let them."""
CELLS_THROUGH = [cell for cell in CELLS if cell[0].fault in THROUGH and not cell[0].parameters and cell[1] != "binary"]


NOT_OVER_HTTP2 = {
    *("stale_keepalive", "huge_headers", "endless_headers", "length_twice", "garbage_head"),
    *("length_too_short", "length_short_by_one", "s500_endless_body"),
}
"""Faults that a stream cannot have, or not through a gateway: they are a connection's, or of the bytes of a head."""
CELLS_OVER_HTTP2 = [
    (row, kind)
    for row, kind in CELLS
    if (row in ROWS or kind == "unary") and kind != "binary" and row.fault not in NOT_OVER_HTTP2 and not row.parameters
]


@pytest.fixture(scope="module")
def gateway(server: faults.FaultServer) -> Iterator[Http2Server]:
    if not hasattr(select, "epoll"):
        pytest.skip("without epoll there is no HTTP/2")
    with serving_http2(gateway_to(int(server.url.rpartition(":")[2]))) as found:
        yield found


@pytest.mark.dealt
@pytest.mark.parametrize("cell", CELLS_OVER_HTTP2, ids=named)
async def test_a_cell_over_http2(
    cell: tuple[Row, str],
    driver: Driver,
    server: faults.FaultServer,
    gateway: Http2Server,
    monkeypatch: pytest.MonkeyPatch,
    right: list[str],
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    before = gateway.requests
    right.append(await meet(cell, driver, server, at=gateway.url, way="http2", http2="prior-knowledge"))
    assert gateway.requests > before


class Along(NamedTuple):
    """A way to the fault server. `through`: a proxy of this scheme; `origin`: of the URL that is asked, or HTTP/2
    behind `https://`."""

    through: str | None
    origin: str


WAYS = [
    *(Along("http", "http"), Along("http", "https"), Along("socks5", "http")),
    *(Along("https", "http"), Along("https", "https"), Along("https", "HTTP/2")),
    *(Along(None, "https"), Along(None, "HTTP/2")),
]


class Surroundings(NamedTuple):
    """What stands on the ways. `origins`: in front of the fault server; `offering`: whose TLS may choose HTTP/2."""

    origins: dict[str, str]
    plain: ProxyServer
    secure: ProxyServer
    trusting: ssl.SSLContext
    offering: ssl.SSLContext


@pytest.fixture(scope="module")
def surroundings(server: faults.FaultServer) -> Iterator[Surroundings]:
    authority = trustme.CA()
    http11, http2 = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    trusting, offering = ssl.create_default_context(), ssl.create_default_context()
    for context, protocol in ((http11, "http/1.1"), (http2, "h2")):
        authority.issue_cert("localhost").configure_cert(context)
        context.set_alpn_protocols([protocol])
    for context in (trusting, offering):
        authority.configure_trust(context)
    offering.set_alpn_protocols(["h2", "http/1.1"])
    port = int(server.url.rpartition(":")[2])
    with (
        proxying(LOGIN) as plain,
        proxying(LOGIN, http11) as secure,
        proxying(context=http11, origin=port) as terminator,
        serving_http2(gateway_to(port), http2) as gateway,
    ):
        origins = {"http": server.url, "https": f"https://{terminator.place}", "HTTP/2": gateway.url}
        yield Surroundings(origins, plain, secure, trusting, offering)


@pytest.mark.parametrize("along", WAYS, ids=lambda along: f"{along.through}-{along.origin}")
async def test_cells_along_another_way(
    along: Along,
    driver: Driver,
    server: faults.FaultServer,
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    right: list[str],
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    http2 = along.origin == "HTTP/2"
    if http2 and not hasattr(select, "epoll"):
        pytest.skip("without epoll there is no HTTP/2")
    failures: list[Exception] = []
    places = anyio.Semaphore(CELLS_AT_ONCE)

    async def try_cell(cell: tuple[Row, str]) -> None:
        async with places:
            try:
                right.append(await meet_along(along, cell, driver, server, surroundings))
            except Exception as error:  # noqa: BLE001 - raised below, with those of the other cells
                error.add_note(f"in the cell {named(cell)}")
                failures.append(error)

    async with anyio.create_task_group() as group:
        for cell in CELLS_THROUGH:
            if not (http2 and cell[0].fault in NOT_OVER_HTTP2):
                group.start_soon(try_cell, cell)
    if failures:
        raise ExceptionGroup(f"along {along}", failures)


async def meet_along(
    along: Along, cell: tuple[Row, str], driver: Driver, server: faults.FaultServer, surroundings: Surroundings
) -> str:
    http2 = along.origin == "HTTP/2"
    proxy = {"https": surroundings.secure, None: None}.get(along.through, surroundings.plain)
    before = 0 if proxy is None else len(proxy.asked)
    found = await meet(
        cell,
        driver,
        server,
        at=surroundings.origins[along.origin],
        way=f"{along.through}-{along.origin.lower().replace('/', '')}",
        proxies=proxy and proxy.url(along.through or ""),
        ssl_context=surroundings.offering if http2 else surroundings.trusting,
        http2=http2,
    )
    assert proxy is None or len(proxy.asked) > before
    return found


async def meet(
    cell: tuple[Row, str],
    driver: Driver,
    server: faults.FaultServer,
    at: str | None = None,
    way: str = "direct",
    **options: Any,
) -> str:
    """Meet the fault, and check what comes of it; its place in the server's URL. `at`: of what stands before it;
    `way`: what tells these requests from those of other tests."""
    row, kind = cell
    name = f"{driver.name}-{kind}-{way}"
    url = server.at(row.fault, **row.parameters, id=name)
    if at is not None:
        url = url.replace(server.url, at)
    outcome: str | BaseException
    options |= {"timeout": row.timeout, "max_response_bytes": row.most, "api_key": CANARY}
    async with driver.client(base_url=f"{url}/v1", **options) as client:
        assert CANARY not in repr(client)
        try:
            outcome = await ask(client, kind)
        except HeadwaterError as error:
            outcome = error
        check(row, kind, outcome)
    segment = url.rpartition("/")[2]
    asked = [request for request in server.requests if request.fault == segment]
    if not isinstance(outcome, InferenceTimeoutError):  # else there may have been no time even to ask
        assert len(asked) == row.requests
    assert all(request.headers["authorization"] == f"Bearer {CANARY}" for request in asked)
    assert not any("proxy-authorization" in request.headers for request in asked)
    assert server.other_requests == []
    return segment


async def test_a_refused_connection_is_tried_again(
    driver: Driver, server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    async with driver.client(base_url=server.refused_url, timeout=TIMEOUT, api_key=CANARY) as client:
        for kind in BOTH.split():
            with pytest.raises(ConnectError) as caught:
                await ask(client, kind)
            assert len(caught.value.attempts) == 3
            refute_secrets(caught.value)


async def test_a_connection_that_is_not_answered_times_out(driver: Driver, server: faults.FaultServer) -> None:
    both = Timeout(total=20, connect=0.4, first_event=0.4)
    async with driver.client(base_url=server.silent_url, timeout=both, retries=0, api_key=CANARY) as client:
        with pytest.raises(InferenceTimeoutError) as caught:
            await client.chat_completion(MESSAGES)
        assert caught.value.phase in {"connect", "first_event"}  # the same 0.4 s for both
        only = Timeout(connect=0.4)
        with pytest.raises(InferenceTimeoutError) as caught:
            await client.with_options(timeout=only).chat_completion(MESSAGES)
        assert caught.value.phase == "connect"
        assert caught.value.elapsed is not None
        assert caught.value.elapsed < STOPPED


@pytest.mark.parametrize("fault", LARGE)
async def test_large_answers_are_not_held(driver: Driver, server: faults.FaultServer, fault: str) -> None:
    """The process's peak does not follow what the server sends; the test's own server is part of it."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    url = f"{server.at(fault, **({} if 'endless' in fault else {'mb': 256}))}/v1"
    wanted = headwater.InvalidRequestError if fault == "gzip_bomb_error" else ResponseTooLargeError
    async with driver.client(base_url=url, timeout=TIMEOUT, max_response_bytes=4 * SMALL) as client:
        with pytest.raises(wanted):
            await ask(client, "unary" if fault == "big_json" else "stream")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 8 * SMALL + 16 * MIB


async def test_a_consumer_that_stops_holds_the_server_up(driver: Driver, server: faults.FaultServer) -> None:
    """8 MiB at most are on their way, the kernel's share included; and reading goes on where it stopped."""
    url = server.at("sse_flood", id=driver.name)
    client = driver.client(base_url=f"{url}/v1", timeout=TIMEOUT)
    async with client, client.chat_completion.stream(MESSAGES) as run:
        await anext(run)
        flood = max(server.connections, key=lambda record: record.id)
        sent = -1
        while flood.sent != sent:
            sent = flood.sent
            await anyio.sleep(0.3)
        assert 0 < sent < 8 * MIB
        assert [(await anext(run)).choices[0].delta.content for _ in range(9)] == [f"w{i} " for i in range(1, 10)]
