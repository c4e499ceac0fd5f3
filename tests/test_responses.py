"""The Responses API through both clients: every end on every driver, streams that are cut, what goes on meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.drivers import Driver
from support.response_events import ASKED, MESSAGE, RESPONSE, delta, emulated, ended, event, written

from headwater import (
    ConnectionLostError,
    ContentRefusedError,
    HeadwaterError,
    IncompleteStreamError,
    InvalidCredentialError,
    InvalidParameterError,
    JobFailedError,
    NotFoundError,
    Queued,
    RateLimitError,
    ServerError,
    Started,
    Submitted,
    UnsupportedTaskError,
    emulator,
)
from headwater.emulator.server import Emulator
from headwater.protocol.events import Job
from headwater.testing import MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio

EVENTS = "text/event-stream"
BEGUN = event("response.created", response=RESPONSE, sequence_number=0)
LOST = ConnectionLostError("the connection was lost")


@pytest.fixture(scope="module")
def url() -> Iterator[Emulator]:
    with emulator.running() as found:
        yield found


@pytest.fixture(autouse=True)
def waits_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


def streamed(*pieces: Any) -> MemoryTransport:
    return MemoryTransport(lambda _: ScriptedResponse(*pieces, content_type=EVENTS))


def client_of(driver: Driver, transport: MemoryTransport, **more: Any) -> Any:
    return driver.client(base_url="http://127.0.0.1:9/v1", model="m", transport=transport, **{"retries": 0, **more})


async def read(run: Any) -> tuple[list[Any], HeadwaterError | None, Any]:
    """The events of a run, its error, and its result or what was left of it."""
    events: list[Any] = []
    async with run:
        try:
            async for one in run:
                events.append(one)
            return events, None, await run.result()
        except HeadwaterError as error:
            return events, error, error.partial


# -- ends

HELLO = BEGUN, delta("Hello")
DONE_EVENT = ended("completed", MESSAGE)
LIMITED = ended("failed", error={"code": "rate_limit_exceeded"})
REFUSED = ended("failed", error={"code": "bio_policy"})
BROKEN = event("error", code="server_error", message="x")
ENDS: list[tuple[str, tuple[Any, ...], type[HeadwaterError] | None, str]] = [
    ("completed", (*HELLO, DONE_EVENT), None, "completed"),
    ("with a marker", (*HELLO, DONE_EVENT, b"data: [DONE]\n\n"), None, "completed"),
    ("incomplete", (*HELLO, ended("incomplete", MESSAGE)), None, "incomplete"),
    ("failed", (*HELLO, LIMITED), RateLimitError, "failed"),
    ("failed, lost", (*HELLO, REFUSED, LOST), ContentRefusedError, "failed"),
    ("cancelled", (*HELLO, ended("cancelled")), JobFailedError, "cancelled"),
    ("error", (*HELLO, BROKEN), ServerError, "in_progress"),
    ("nothing more", HELLO, IncompleteStreamError, "in_progress"),
    ("a marker alone", (*HELLO, b"data: [DONE]\n\n"), IncompleteStreamError, "in_progress"),
    ("lost", (*HELLO, LOST), IncompleteStreamError, "in_progress"),
]


@pytest.mark.parametrize(("pieces", "kind", "status"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
async def test_every_end_is_told(
    driver: Driver, pieces: tuple[Any, ...], kind: type[HeadwaterError] | None, status: str
) -> None:
    async with client_of(driver, streamed(*pieces)) as client:
        events, error, response = await read(client.responses.stream("Hi"))
    assert (type(error) if error else None) is kind
    assert (response.status, response.output_text) == (status, "Hello")
    assert "".join(one.delta for one in events if one.type == "response.output_text.delta") == "Hello"
    if kind is not None:
        assert error is not None and error.events_received == len(events)
    assert kind is None or status == "in_progress" or events[-1].type == f"response.{status}"


@pytest.mark.dealt
@pytest.mark.parametrize("piece", [11, 700, 100_000])
async def test_a_cut_at_every_byte_is_told(driver: Driver, piece: int) -> None:
    """Of a stream with most kinds of events, in pieces of some sizes; the flow's own test has every byte."""
    told = emulated(**{**ASKED, "input": "add search"})
    body = written(*told)
    end = body.rindex(b"event: response.completed")
    async with client_of(driver, streamed(body)) as client:
        _, _, whole = await read(client.responses.stream("add search"))
    for at in range(1, len(body), 797):
        pieces = [body[start : min(start + piece, at)] for start in range(0, at, piece)]
        for lost in ([], [LOST]):
            async with client_of(driver, streamed(*pieces, *lost)) as client:
                events, error, kept = await read(client.responses.stream("add search"))
            if error is None:
                assert at > end and kept.to_dict() == whole.to_dict()
                continue
            assert isinstance(error, IncompleteStreamError | ConnectionLostError), (at, error)
            assert [one.type for one in events] == [one["type"] for one in told[: len(events)]]
            assert len(kept.output if events else []) <= len(whole.output)


async def test_a_cut_before_the_first_event_is_tried_again(driver: Driver) -> None:
    answers = [(BEGUN[:20], LOST), (BEGUN, delta("Hello"), ended("completed", MESSAGE))]
    transport = MemoryTransport(lambda _: ScriptedResponse(*answers.pop(0), content_type=EVENTS))
    async with client_of(driver, transport, retries=1) as client:
        _, error, response = await read(client.responses.stream("Hi"))
    assert error is None and response.output_text == "Hello" and len(transport.requests) == 2


# -- what the server keeps


async def test_a_response_is_kept_and_gone_on_from(driver: Driver, url: Emulator) -> None:
    async with driver.client(base_url=str(url), model="m") as client:
        responses = client.responses
        made = await responses.create("one two three")
        assert (await responses.retrieve(made.id)).to_dict() == made.to_dict()
        following = await responses.create("four", previous_response_id=made.id)
        assert following.usage.input_tokens == 3 + 16 + 1
        page = await responses.input_items.list(made.id, limit=5, order="asc")
        assert [item.text for item in page.data] == ["one two three"] and page.has_more is False
        await responses.delete(made.id)
        with pytest.raises(NotFoundError, match="not found"):
            await responses.retrieve(made.id)


@pytest.mark.dealt
async def test_what_is_kept_is_asked_for_by_its_id(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(json.dumps({**RESPONSE, "status": "failed"}).encode()))
    async with client_of(driver, transport) as client:
        found = await client.responses.retrieve("a/b?c", include=["x", "y"])
        assert found.status == "failed"  # what was asked for is how it is
        await client.responses.cancel("r")
        await client.responses.delete("r")
        with pytest.raises(InvalidParameterError, match="stream=True"):
            await client.responses.retrieve("r", starting_after=3)
        with pytest.raises(InvalidParameterError, match="response_id"):
            await client.responses.retrieve("")
    assert [(one.method, one.url.partition("/v1")[2]) for one in transport.requests] == [
        ("GET", "/responses/a%2Fb%3Fc?include%5B%5D=x&include%5B%5D=y"),
        ("POST", "/responses/r/cancel"),
        ("DELETE", "/responses/r"),
    ]


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"provider": "perplexity"}, "https://api.perplexity.ai/v1/responses/r"),
        ({"provider": "auto"}, "https://router.huggingface.co/v1/responses/r"),
        (
            {"provider": "azure", "base_url": "https://r.openai.azure.com"},
            "https://r.openai.azure.com/openai/v1/responses/r",
        ),
        (
            {"provider": "azure", "base_url": "https://r.openai.azure.com?api-version=1"},
            "https://r.openai.azure.com/openai/responses/r?api-version=1",
        ),
    ],
)
async def test_what_a_provider_keeps_is_where_it_was_made(driver: Driver, settings: dict[str, str], url: str) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(json.dumps({**RESPONSE, "status": "completed"}).encode()))
    key = "hf_of_a_test" if settings["provider"] == "auto" else "key-of-a-test"
    async with driver.client(transport=transport, api_key=key, **settings) as client:
        await client.responses.retrieve("r")
        await client.responses.cancel("r")
    path, mark, query = url.partition("?")
    assert [one.url for one in transport.requests] == [url, f"{path}/cancel{mark}{query}"]


@pytest.mark.dealt
async def test_who_has_no_responses_says_so(driver: Driver) -> None:
    async with driver.client(provider="together", api_key="key-of-theirs") as client:
        for asked in (client.responses.create("Hi", model="m"), client.responses.retrieve("r")):
            with pytest.raises(UnsupportedTaskError, match="together does not do responses"):
                await asked


# -- in the background


async def test_a_stream_that_is_cut_goes_on_where_it_was(driver: Driver, url: Emulator) -> None:
    url.forget()
    async with driver.client(base_url=str(url), model="m-cut-7") as client:
        async with client.responses.stream("a b c", background=True) as run:
            events = [one async for one in run]
            response = await run.result()
        assert [one.sequence_number for one in events] == list(range(len(events)))
        assert (response.status, run.outcome) == ("completed", "complete")
        assert response.output_text == "".join(one.delta for one in events if one.type == "response.output_text.delta")
    asked = [(one.method, dict(one.query)) for one in url.requests]
    assert asked == [("POST", {}), ("GET", {"stream": "true", "starting_after": "6"})]


async def test_a_job_is_taken_up_behind_its_event(driver: Driver, url: Emulator) -> None:
    """With no retries nothing goes on by itself; in another process it does."""
    async with driver.client(base_url=str(url), model="m-cut-7", retries=0) as client:
        run = client.responses.stream("a b c", background=True)
        events, error, kept = await read(run)
        assert isinstance(error, IncompleteStreamError) and kept.output_text and run.outcome == "truncated"
        assert run.job.state["starting_after"] == str(events[-1].sequence_number) == "6"
        assert not url.jobs[-1].cancelled
        async with client.resume(run.job.to_json()) as again:
            first, *more = [one async for one in again]
            response = await again.result()
        assert isinstance(first, Submitted) and more[0].sequence_number == 7
        assert response.output_text.startswith(kept.output_text)
        stored = await client.responses.retrieve(response.id, stream=True, starting_after=20)
        async with stored:
            numbers = [one.sequence_number async for one in stored]
        assert numbers[0] == 21 and (await stored.result()).to_dict() == response.to_dict()


async def test_leaving_it_ends_it(driver: Driver, url: Emulator) -> None:
    async with driver.client(base_url=str(url), model="m-slow") as client:
        url.forget()
        run = client.responses.stream("a b c", background=True)
        async with run:
            async for _ in run:
                break
        assert url.jobs[-1].cancelled and run.outcome == "cancelled"


async def test_a_response_is_waited_for(driver: Driver, url: Emulator) -> None:
    async with driver.client(base_url=str(url), model="m") as client:
        queued = await client.responses.create("a b c", background=True)
        assert queued.status == "queued" and not queued.is_over
        async with client.responses.wait(queued) as run:
            events = [one async for one in run]
            assert [type(one) for one in events] == [Submitted, Queued, Started]
            assert (await run.result()).output_text.startswith("a b c")
        again = await client.resume(run.job).result()
        assert again.id == queued.id
        other = await client.responses.create("forever", background=True)
        async with client.responses.wait(other.id) as run:
            async for one in run:
                if isinstance(one, Started):
                    break
        assert run.outcome == "detached" and not url.jobs[-1].cancelled
        assert (await client.responses.cancel(other.id)).status == "cancelled"
        with pytest.raises(JobFailedError, match="cancelled"):
            await client.responses.wait(other.id).result()
        failing = await client.responses.create("fail", background=True)
        with pytest.raises(ServerError):
            await client.responses.wait(failing).result()


Answers = list[tuple[int, tuple[Any, ...]]]
QUEUED = (json.dumps({**RESPONSE, "status": "queued"}).encode(),)
DONE = (json.dumps({**RESPONSE, "status": "completed", "output": [MESSAGE]}).encode(),)
NO = (b'{"error": {"message": "this response cannot be streamed"}}',)


def numbered(*frames: Any) -> tuple[Any, ...]:
    return BEGUN, delta("Hel", sequence_number=1), *frames


GOING_ON: list[tuple[str, Answers, str]] = [
    ("in one", [(200, numbered(LOST)), (200, (delta("lo", sequence_number=2), ended("completed", MESSAGE)))], "GET"),
    ("from the first", [(200, numbered(LOST)), (200, numbered(delta("lo", sequence_number=2), ended()))], "GET"),
    ("again and again", [(200, numbered())] + [(200, (LOST,))] * 2 + [(200, (ended("completed", MESSAGE),))], "GET"),
    ("no stream of it", [(200, numbered(LOST)), (400, NO), (200, QUEUED), (200, DONE)], "GET"),
    ("no numbers", [(200, (event("response.created", response=RESPONSE), LOST)), (200, QUEUED), (200, DONE)], "GET"),
    ("no stream at all", [(200, QUEUED), (200, QUEUED), (200, DONE)], "GET"),
    ("whole, then lost", [(200, numbered(ended("completed", MESSAGE), LOST))], ""),
    ("a 500 meanwhile", [(200, numbered(LOST)), (500, NO), (200, (ended("completed", MESSAGE),))], "GET"),
]


@pytest.mark.dealt
@pytest.mark.parametrize(("answers", "then"), [row[1:] for row in GOING_ON], ids=[row[0] for row in GOING_ON])
async def test_however_it_goes_on(driver: Driver, answers: Answers, then: str) -> None:
    waiting = list(answers)

    def respond(_: Any) -> ScriptedResponse:
        status, pieces = waiting.pop(0)
        is_json = isinstance(pieces[0], bytes) and pieces[0][:1] == b"{"
        return ScriptedResponse(*pieces, status=status, content_type="application/json" if is_json else EVENTS)

    transport = MemoryTransport(respond)
    async with client_of(driver, transport, retries=2) as client:
        events, error, response = await read(client.responses.stream("Hi", background=True))
    assert error is None and response.output_text == "Hello" and not waiting
    numbers = [one.sequence_number for one in events if getattr(one, "sequence_number", None) is not None]
    assert numbers == sorted(set(numbers))
    assert [one.method for one in transport.requests] == ["POST"] + [then] * (len(answers) - 1)


@pytest.mark.dealt
@pytest.mark.parametrize("status", [200, 404])
async def test_what_cannot_go_on_ends_with_what_came(driver: Driver, status: int) -> None:
    answers = [ScriptedResponse(*numbered(LOST), content_type=EVENTS)]

    def respond(_: Any) -> ScriptedResponse:
        if answers:
            return answers.pop()
        return ScriptedResponse(*((BEGUN, LOST) if status == 200 else NO), status=status, content_type=EVENTS)

    transport = MemoryTransport(respond)
    async with client_of(driver, transport, retries=1) as client:
        _, error, kept = await read(client.responses.stream("Hi", background=True))
    assert isinstance(error, IncompleteStreamError if status == 200 else NotFoundError)
    assert kept.output_text == "Hel"
    assert all(not one.url.endswith("/cancel") for one in transport.requests)


@pytest.mark.dealt
async def test_a_response_that_may_have_been_begun_is_not_begun_again(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: ConnectionLostError("the connection was lost"))
    async with client_of(driver, transport, retries=3) as client:
        with pytest.raises(ConnectionLostError):
            await client.responses.create("Hi", background=True)
        assert len(transport.requests) == 1
        with pytest.raises(ConnectionLostError):
            await client.responses.create("Hi")
        assert len(transport.requests) == 1 + 4


@pytest.mark.dealt
async def test_a_job_finds_its_way_back(driver: Driver, url: Emulator) -> None:
    """At a provider by its row, at a server's URL by the client's."""
    rewritten = emulator.rewriting(str(url))
    async with driver.client(provider="openai", api_key="key-of-theirs", transport=rewritten) as client:
        async with client.responses.stream("a b", model="m-cut-5", background=True) as run:
            first = await run.result()
        assert Job.from_json(run.job.to_json()).provider == "openai"
        assert (await client.resume(run.job).result()).to_dict() == first.to_dict()
    job = Job(provider="url", task="responses", id="resp_1")
    async with driver.client(provider="openai", api_key="key-of-theirs") as client:
        with pytest.raises(InvalidParameterError, match="same base_url"):
            await client.resume(job).result()
    async with driver.client(provider="together", api_key="hf_token") as client:
        with pytest.raises((UnsupportedTaskError, InvalidCredentialError)):
            await client.resume(Job(provider="together", task="responses", id="x")).result()
