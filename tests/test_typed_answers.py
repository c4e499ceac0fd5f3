"""Answers as values of a type: plain and streamed, from every kind of provider, and what follows one that is none."""

from __future__ import annotations

import json
import pickle
from itertools import islice
from typing import Any

import anyio
import pytest
from support.drivers import Driver
from support.typed_cases import CASES, Cat, Dog, Invoice, Line, Node, Point, expected

from headwater import (
    ContentRefusedError,
    DecodeError,
    EmptyAnswerError,
    IncompleteGenerationError,
    InferenceClient,
    InferenceTimeoutError,
    InvalidAnswerError,
    InvalidParameterError,
    LengthFinishReasonError,
    ParsedChatCompletion,
    RefusedAnswerError,
    TruncatedAnswerError,
    emulator,
)
from headwater.testing import MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio

ASKED = [{"role": "user", "content": "Hi"}]
LINE = '{"what": "tea", "amount": 2.5, "colour": "red"}'
WRONG = '{"what": "tea", "amount": -1, "colour": null}'
URL = "http://model.test/v1"


def whole(*texts: str | None, finish: str = "stop", tokens: int | None = 10, **message: Any) -> ScriptedResponse:
    """A chat's answer with these texts."""
    choices = [
        {"index": n, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        for n, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens} if tokens else None
    return ScriptedResponse.json({"id": "1", "object": "chat.completion", "choices": choices, "usage": usage})


def streamed(text: str, *, finish: str = "stop", size: int = 7) -> ScriptedResponse:
    """The same in chunks of so many characters."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    chunks: list[Any] = [{"delta": {"role": "assistant", "content": piece}} for piece in pieces]
    chunks.append({"delta": {}, "finish_reason": finish})
    return ScriptedResponse.events(*({"id": "1", "choices": [{"index": 0, **chunk}]} for chunk in chunks))


def answers(text: str, *, stream: bool, **more: Any) -> ScriptedResponse:
    return streamed(text, **more) if stream else whole(text, **more)


async def ask(driver: Driver, *responses: ScriptedResponse, stream: bool = False, **parameters: Any) -> Any:
    """The result of a chat that these are the answers to, and what was sent."""
    transport = MemoryTransport.in_turn(*responses)
    parameters = {"response_format": Line, **parameters}
    async with driver.client(base_url=URL, transport=transport, retries=0) as client:
        try:
            if not stream:
                return await client.chat_completion(ASKED, **parameters), transport
            async with client.chat_completion.stream(ASKED, **parameters) as run:
                return await run.result(), transport
        finally:
            assert transport.unfinished() == []


async def fails(driver: Driver, *responses: ScriptedResponse, **parameters: Any) -> InvalidAnswerError:
    with pytest.raises(InvalidAnswerError) as caught:
        await ask(driver, *responses, **parameters)
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_a_value_of_the_type(driver: Driver, stream: bool) -> None:
    answer, transport = await ask(driver, answers(LINE, stream=stream), stream=stream)
    assert answer.parsed == Line("tea", 2.5, answer.parsed.colour)
    assert answer.choices[0].message.parsed is answer.parsed
    assert answer.choices[0].message.content == LINE
    assert isinstance(answer, ParsedChatCompletion)
    assert answer.tries == ()
    assert answer.facts.provider == "url"
    assert pickle.loads(pickle.dumps(answer)).parsed == answer.parsed
    assert "parsed" not in answer.to_dict()["choices"][0]["message"]
    [request] = transport.requests
    form = request.json()["response_format"]
    assert form["type"] == "json_schema"
    assert (form["json_schema"]["name"], form["json_schema"]["strict"]) == ("Line", True)
    assert form["json_schema"]["schema"]["required"] == ["what", "amount", "colour"]
    assert request.json().keys() <= {"model", "messages", "stream", "response_format"}


async def test_a_stream_has_the_value_so_far(driver: Driver) -> None:
    transport = MemoryTransport.in_turn(streamed('{"value": [' + LINE + ", " + LINE + "]}", size=9))
    async with (
        driver.client(base_url=URL, transport=transport) as client,
        client.chat_completion.stream(ASKED, response_format=list[Line]) as run,
    ):
        seen: list[Any] = []
        kept: list[Any] = []
        async for _ in run:
            seen.append(run.partial.parsed)
            kept.append(run.partial)
        result = await run.result()
    assert all(isinstance(each, Line) for found in seen if found for each in found)
    assert seen[-1] == result.parsed == [result.parsed[0], result.parsed[0]]
    if not driver.blocking:  # whose events come several at once
        assert Line("tea", None) in [found[0] for found in seen if found]  # type: ignore[arg-type]
        assert [each.parsed for each in kept] == seen, "an earlier part is what it was"


@pytest.mark.parametrize("kind", ["chat.completions.create", "chat.completions.parse", "chat_completion"])
def test_openais_spelling(kind: str) -> None:
    with InferenceClient(base_url=URL, transport=MemoryTransport.in_turn(whole(LINE))) as client:
        call: Any = client
        for name in kind.split("."):
            call = getattr(call, name)
        assert call(messages=ASKED, response_format=Line).parsed.what == "tea"


def test_every_kind_of_type_is_a_format() -> None:
    """At a server that refuses what OpenAI refuses."""
    with emulator.running() as url, InferenceClient(base_url=f"{url}/v1") as client:
        for kind, _, value in CASES:
            found: Any = client.chat_completion(ASKED, response_format=kind)
            wanted = type(expected(kind, _, value))
            assert isinstance(found.parsed, wanted) or kind in (Cat | Dog, Line | Point | None, int | str)
            run: Any
            with client.chat_completion.stream(ASKED, response_format=kind) as run:
                assert run.result().parsed == found.parsed


@pytest.mark.parametrize(
    ("provider", "form"),
    [
        ("cohere", {"type": "json_object", "schema": {}}),
        ("fireworks-ai", {"type": "json_object", "schema": {}}),
        ("together", {"type": "json_schema", "schema": {}}),
        ("sambanova", {"type": "json_schema", "json_schema": {"name": "Line", "schema": {}, "strict": False}}),
        ("openai", {"type": "json_schema", "json_schema": {"name": "Line", "schema": {}, "strict": True}}),
        ("cerebras", {"type": "json_schema", "json_schema": {"name": "Line", "schema": {}, "strict": True}}),
        ("groq", {"type": "json_schema", "json_schema": {"name": "Line", "schema": {}, "strict": True}}),
        ("xai", {"type": "json_schema", "json_schema": {"name": "Line", "schema": {}, "strict": True}}),
        ("google", {"type": "json_schema", "json_schema": {"name": "Line", "schema": {}, "strict": False}}),
        ("perplexity", {"type": "json_schema", "json_schema": {"name": "Line", "schema": {}, "strict": False}}),
        ("llamacpp", {"type": "json_schema", "json_schema": {"name": "Line", "schema": {}, "strict": True}}),
    ],
)
def test_each_provider_is_asked_in_its_own_spelling(provider: str, form: dict[str, Any]) -> None:
    transport = MemoryTransport.in_turn(whole(LINE))
    models = {"m": "openai/gpt-oss-20b"}  # one of those that follow a schema at Groq
    with InferenceClient(provider=provider, api_key="k" * 20, transport=transport, model_mapping=models) as client:
        assert client.chat_completion(ASKED, model="m", response_format=Line).parsed.what == "tea"
    found = transport.requests[0].json()["response_format"]
    sent = found.get("json_schema", found)
    assert sent["schema"]["properties"].keys() == {"what", "amount", "colour"}
    bound = sent["schema"]["properties"]["amount"].get("minimum")
    assert (bound == 0) == (provider not in ("cohere", "cerebras", "groq", "xai", "perplexity"))
    sent["schema"] = {}
    assert found == form


# -- answers that are none


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "finish", "kind", "also", "path"),
    [
        (WRONG, "stop", InvalidAnswerError, DecodeError, "$.amount"),
        ("no", "stop", InvalidAnswerError, DecodeError, "$"),
        (LINE[:20], "length", TruncatedAnswerError, IncompleteGenerationError, "$"),
        (" ", "stop", EmptyAnswerError, DecodeError, None),
        (LINE[:20], "content_filter", RefusedAnswerError, ContentRefusedError, None),
    ],
)
async def test_an_answer_that_is_none_says_what_is_wrong(
    driver: Driver, stream: bool, text: str, finish: str, kind: Any, also: Any, path: str | None
) -> None:
    error = await fails(driver, answers(text, stream=stream, finish=finish), stream=stream)
    assert type(error) is kind
    assert isinstance(error, also)
    assert (error.text, error.path) == (text, path)
    assert [each.text for each in error.tries] == [text]
    assert error.usage is None if stream else error.usage.total_tokens == 20
    assert error.partial.choices[0].message.content == text
    assert error.provider == "url"
    assert len(error.attempts) == 1
    assert not error.retryable
    if kind is TruncatedAnswerError:
        assert kind is LengthFinishReasonError
        assert error.partial.parsed.what == "tea"
    assert pickle.loads(pickle.dumps(error)).path == path


async def test_a_refusal_is_its_own_error(driver: Driver) -> None:
    error = await fails(driver, whole(None, refusal="I must not."))
    assert type(error) is RefusedAnswerError
    assert "I must not." in str(error)


async def test_an_answer_that_was_cut_behind_its_end_is_one(driver: Driver) -> None:
    answer, _ = await ask(driver, whole(LINE, finish="length"))
    assert answer.parsed.what == "tea"


async def test_a_call_of_a_tool_is_no_value(driver: Driver) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    answer, _ = await ask(driver, whole(None, finish="tool_calls", tool_calls=calls))
    assert answer.parsed is None
    assert answer.choices[0].message.tool_calls[0].function.name == "f"


async def test_every_choice_is_a_value(driver: Driver) -> None:
    answer, _ = await ask(driver, whole(LINE, LINE), n=2)
    assert [choice.message.parsed.what for choice in answer.choices] == ["tea", "tea"]
    error = await fails(driver, whole(LINE, WRONG), n=2)
    assert error.text == WRONG


@pytest.mark.parametrize("stream", [False, True])
async def test_asking_again_says_what_is_wrong(driver: Driver, stream: bool) -> None:
    answer, transport = await ask(
        driver,
        answers("no", stream=stream),
        answers(WRONG, stream=stream),
        answers(LINE, stream=stream),
        stream=stream,
        on_invalid="ask again",
    )
    assert answer.parsed.what == "tea"
    assert [each.text for each in answer.tries] == ["no", WRONG]
    assert stream or answer.total_usage.total_tokens == 60
    sent = [request.json()["messages"] for request in transport.requests]
    assert [len(messages) for messages in sent] == [1, 3, 5]
    assert sent[2][3] == {"role": "assistant", "content": WRONG}
    assert "$.amount" in sent[2][4]["content"]
    assert "on_invalid" not in transport.requests[0].json()


@pytest.mark.parametrize("stream", [False, True])
async def test_asking_again_ends(driver: Driver, stream: bool) -> None:
    responses = [answers(WRONG, stream=stream) for _ in range(3)]
    error = await fails(driver, *responses, stream=stream, on_invalid="ask again")
    assert len(error.tries) == 3
    assert stream or error.usage.total_tokens == 60
    error = await fails(driver, answers(WRONG, stream=stream), stream=stream, on_invalid="ask again", max_tries=1)
    assert len(error.tries) == 1


async def test_asking_again_keeps_to_the_budget(driver: Driver) -> None:
    error = await fails(driver, whole(WRONG), whole(WRONG), on_invalid="ask again", token_budget=60, max_tries=9)
    assert [each.usage.total_tokens for each in error.tries] == [20, 20]
    transport = (await ask(driver, whole(WRONG), whole(LINE), on_invalid="ask again", token_budget=60))[1]
    assert "max_tokens" not in transport.requests[0].json()
    assert transport.requests[1].json()["max_tokens"] == 20, "what 60 leave after 20 and a prompt of 20"
    more: dict[str, Any] = {"token_budget": 60, "max_completion_tokens": 5}
    transport = (await ask(driver, whole(WRONG), whole(LINE), on_invalid="ask again", **more))[1]
    assert transport.requests[1].json()["max_completion_tokens"] == 5
    error = await fails(driver, whole(WRONG, tokens=None), on_invalid="ask again", token_budget=10)
    assert error.usage is None


async def test_asking_again_is_under_the_one_deadline(driver: Driver) -> None:
    slow = ScriptedResponse(b"{", 3600.0, head=())
    transport = MemoryTransport.in_turn(whole(WRONG), slow)
    with anyio.fail_after(20):
        async with driver.client(base_url=URL, transport=transport, retries=0, timeout=1) as client:
            with pytest.raises(InferenceTimeoutError):
                await client.chat_completion(ASKED, response_format=Line, on_invalid="ask again")
    assert len(transport.requests) == 2
    assert transport.unfinished() == []


async def test_what_no_further_answer_mends_is_not_asked_for_again(driver: Driver) -> None:
    for response in (whole(LINE[:20], finish="length"), whole(None, refusal="No.")):
        assert len((await fails(driver, response, on_invalid="ask again")).tries) == 1
    answer, transport = await ask(driver, whole(""), whole(LINE), on_invalid="ask again")
    assert answer.parsed.what == "tea"
    assert [each["role"] for each in transport.requests[1].json()["messages"]] == ["user", "user"]


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{LINE}\n```",
        f"Here it is:\n```\n{LINE}\n```\nDone.",
        f"<think>{{so}}</think>{LINE}",
        f"Sure! {LINE} Anything else?",
        LINE.replace('"', "'"),
        LINE.replace("}", ",}"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_json_is_repaired_where_that_is_wanted(text: str, stream: bool) -> None:
    pytest.importorskip("json_repair")
    for on_invalid in ("repair", "raise"):
        transport = MemoryTransport.in_turn(answers(text, stream=stream))
        with InferenceClient(base_url=URL, transport=transport) as client:
            run = client.chat_completion.stream(ASKED, response_format=Line, on_invalid=on_invalid)
            if on_invalid == "repair":
                assert run.result().parsed.what == "tea"
            else:
                with pytest.raises(InvalidAnswerError):
                    run.result()


def test_what_cannot_be_repaired_is_an_error() -> None:
    pytest.importorskip("json_repair")
    for text in ("no", WRONG):
        transport = MemoryTransport.in_turn(whole(text))
        with InferenceClient(base_url=URL, transport=transport) as client, pytest.raises(InvalidAnswerError) as caught:
            client.chat_completion(ASKED, response_format=Line, on_invalid="repair")
        assert caught.value.text == text


def test_no_other_provider_is_asked_for_a_wrong_answer() -> None:
    transport = MemoryTransport.in_turn(whole(WRONG))
    places: Any = ["together", "groq"]
    with (
        InferenceClient(provider=places, transport=transport, token="hf_" + "x" * 20) as client,
        pytest.raises(InvalidAnswerError),
    ):
        client.with_options(model_mapping={"m": "m"}).chat_completion(ASKED, model="m", response_format=Line)
    assert len(transport.requests) == 1


def test_a_key_that_a_model_repeats_is_in_no_error() -> None:
    key = "sk-" + "s3cret" * 5
    transport = MemoryTransport.in_turn(whole(json.dumps({"what": key, "amount": -1})))
    with (
        InferenceClient(base_url="https://model.test/v1", api_key=key, transport=transport) as client,
        pytest.raises(InvalidAnswerError) as caught,
    ):
        client.chat_completion(ASKED, response_format=Line)
    error = caught.value
    assert key not in f"{error!r}{error.text}{error.tries}{error.partial}{error.body!r}"


def test_nothing_is_sent_for_what_is_no_type() -> None:
    with InferenceClient(base_url=URL, transport=MemoryTransport.in_turn()) as client:
        wrong: Any
        for wrong, said in [
            (list[complex], "response_format: list[complex][]: a complex has no JSON schema"),
            (5, "response_format must be a dict like"),
        ]:
            with pytest.raises(InvalidParameterError) as caught:
                client.chat_completion(ASKED, response_format=wrong)
            assert said in str(caught.value)
        with pytest.raises(InvalidParameterError, match="on_invalid is for answers of a type"):
            client.chat_completion(ASKED, on_invalid="ask again")
        with pytest.raises(InvalidParameterError, match="max_tries"):
            client.chat_completion(ASKED, response_format=Line, max_tries=0)
    with (
        InferenceClient(base_url="http://model.test/generate", transport=MemoryTransport.in_turn()) as client,
        pytest.raises(InvalidParameterError, match="contains itself"),
    ):
        client.text_generation("Hi", grammar=Node)
    with (
        InferenceClient(provider="cerebras", api_key="k" * 20, transport=MemoryTransport.in_turn()) as client,
        pytest.raises(InvalidParameterError, match=r"Node\.below\[\]: Node contains itself"),
    ):
        client.with_options(model_mapping={"m": "m"}).chat_completion(ASKED, model="m", response_format=Node)


# -- texts, maps and items


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("path", ["", "/v1"])
async def test_a_text_is_a_value_of_the_type(driver: Driver, path: str, details: bool, emulated: str) -> None:
    async with driver.client(base_url=emulated + path) as client:
        text = await client.text_generation("Hi", grammar=Invoice, details=details)
        assert isinstance(text.parsed, Invoice)
        assert isinstance(text, str) != details
        assert (text.generated_text if details else text).startswith("{")
        async with client.text_generation.stream("Hi", grammar=Invoice, details=details) as run:
            async for _ in run:
                assert run.partial.parsed is None or isinstance(run.partial.parsed, Invoice)
            assert (await run.result()).parsed == text.parsed
        with pytest.raises(TruncatedAnswerError) as caught:
            await client.text_generation("Hi", grammar=Invoice, max_new_tokens=6, details=details)
        assert isinstance(caught.value.partial.parsed, Invoice)


@pytest.fixture(scope="module")
def emulated() -> Any:
    with emulator.running() as url:
        yield url


def test_what_is_nested_as_no_value_is_cannot_be_repaired() -> None:
    transport = MemoryTransport.in_turn(whole('{"what":' + "[" * 50_000))
    with InferenceClient(base_url=URL, transport=transport) as client, pytest.raises(InvalidAnswerError):
        client.chat_completion(ASKED, response_format=Line, on_invalid="repair")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("refusal", [None, 400, 422])
@pytest.mark.dealt
async def test_a_text_of_a_type_at_servers_that_name_its_schema_otherwise(
    driver: Driver, refusal: int | None, stream: bool
) -> None:
    """llama.cpp reads `json_schema` alone, vLLM `response_format`; SGLang refuses the former."""
    choice = {"text": LINE, "index": 0, "finish_reason": "stop"}
    answer = ScriptedResponse.events({"choices": [choice]}) if stream else ScriptedResponse.json({"choices": [choice]})
    said = {"message": "body.json_schema: Input should be a valid string"}
    refused = [] if refusal is None else [ScriptedResponse.json(said, status=refusal)]
    transport = MemoryTransport.in_turn(*refused, answer)
    async with driver.client(base_url="http://model.test/v1", transport=transport) as client:
        if stream:
            async with client.text_generation.stream("Hi", grammar=Line) as run:
                async for _ in run:
                    pass
                found = await run.result()
        else:
            found = await client.text_generation("Hi", grammar=Line)
    assert found.parsed.what == "tea"
    first, last = transport.requests[0].json(), transport.requests[-1].json()
    assert first["json_schema"] == first["response_format"]["json_schema"]["schema"]
    assert ("json_schema" in last) == (refusal is None)
    assert last["response_format"] == first["response_format"]


async def test_a_text_is_asked_for_again(driver: Driver) -> None:
    def text(said: str) -> ScriptedResponse:
        return ScriptedResponse.json(
            {"generated_text": said, "details": {"finish_reason": "eos_token", "generated_tokens": 5}}
        )

    transport = MemoryTransport.in_turn(text(WRONG), text(LINE))
    async with driver.client(base_url="http://model.test/generate", transport=transport) as client:
        found = await client.text_generation("Hi", grammar=Line, on_invalid="ask again")
    assert found.parsed.what == "tea"
    sent = transport.requests[0].json()["parameters"]
    assert sent["grammar"]["type"] == "json"
    assert sent["grammar"]["value"]["properties"]["amount"]["type"] == "number"
    assert "$.amount" in transport.requests[1].json()["inputs"]


async def test_a_map_gives_values(driver: Driver) -> None:
    transport = MemoryTransport(lambda request: whole(WRONG if b"no" in request.body else LINE))
    inputs = [[{"role": "user", "content": word}] for word in ("yes", "no", "yes")]
    parameters = {"response_format": Line}
    async with driver.client(base_url=URL, transport=transport) as client:
        if driver.blocking:
            with client.client.map(
                client.client.chat_completion, inputs, parameters=parameters, ordered=True
            ) as results:
                found = await anyio.to_thread.run_sync(lambda: list(results))
        else:
            async with client.map(client.chat_completion, inputs, parameters=parameters, ordered=True) as results:
                found = [result async for result in results]
    assert [type(each.error) for each in found] == [type(None), InvalidAnswerError, type(None)]
    assert found[0].value.parsed.what == "tea"


async def items_of(driver: Driver, transport: MemoryTransport, most: int = 100, **parameters: Any) -> list[Any]:
    async with driver.client(base_url=URL, transport=transport) as client:
        if driver.blocking:

            def read() -> list[Any]:
                with client.client.chat_completion.items(ASKED, of=Line, **parameters) as rows:
                    return list(islice(rows, most))

            found: list[Any] = await anyio.to_thread.run_sync(read)
            return found
        rows = []
        async with client.chat_completion.items(ASKED, of=Line, **parameters) as items:
            async for row in items:
                rows.append(row)
                if len(rows) == most:
                    break
        return rows


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("form", ["[%s]", '{"value": [%s]}'])
async def test_items_come_as_they_become_whole(driver: Driver, form: str, size: int) -> None:
    text = form % ", ".join([LINE, LINE.replace("tea", "cup [1], {2}"), LINE])
    transport = MemoryTransport.in_turn(streamed(text, size=size))
    found = await items_of(driver, transport)
    assert [row.what for row in found] == ["tea", "cup [1], {2}", "tea"]
    assert transport.unfinished() == []


async def test_items_are_handed_over_before_the_answer_ends(driver: Driver) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": f'{{"value": [{LINE}, {LINE}'}}]}
    begun = f"data: {json.dumps(chunk)}\n\n".encode()
    stalled = ScriptedResponse(begun, 3600.0, content_type="text/event-stream")
    transport = MemoryTransport.in_turn(stalled)
    with anyio.fail_after(20):
        assert len(await items_of(driver, transport, most=2)) == 2
    assert transport.unfinished() == []


async def test_an_item_that_is_none_is_an_error_after_those_before_it(driver: Driver) -> None:
    transport = MemoryTransport.in_turn(streamed(f"[{LINE}, {WRONG}, {LINE}]"))
    assert len(await items_of(driver, transport, most=1)) == 1
    transport = MemoryTransport.in_turn(streamed(f"[{LINE}, {WRONG}, {LINE}]"))
    with pytest.raises(InvalidAnswerError) as caught:
        await items_of(driver, transport)
    assert caught.value.path == "$[1].amount"
    assert caught.value.text == WRONG
    assert caught.value.provider == "url"
    with pytest.raises(InvalidAnswerError):
        await items_of(driver, MemoryTransport.in_turn(streamed("I have none.")))
    with pytest.raises(InvalidParameterError):
        await items_of(driver, MemoryTransport.in_turn(), on_invalid="ask again")


def test_a_call_without_a_type_loads_nothing_for_types() -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom headwater import InferenceClient\n"
        "from headwater.testing import MemoryTransport, ScriptedResponse\n"
        "answer = {'choices': [{'message': {'content': 'hi'}}]}\n"
        "t = MemoryTransport.in_turn(ScriptedResponse.json(answer))\n"
        "with InferenceClient(base_url='http://m.test/v1', transport=t) as c:\n"
        "    c.chat_completion([{'role': 'user', 'content': 'a'}], response_format={'type': 'json_object'})\n"
        "print([m for m in ('schema.codec', 'schema.partial', 'providers.typed_answer', 'tasks.parsed_types')"
        " if 'headwater.' + m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.strip() == "[]"
