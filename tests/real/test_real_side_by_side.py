"""The same questions to the same llama.cpp server by openai's client, Anthropic's and ours: what comes of each.

What ours is to do is asserted; what comes of theirs is told (`-s` shows the table, which is that of docs/migrate), for
it changes with their versions. One server is behind a relay that closes in the middle of an answer.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from headwater import HeadwaterError, InferenceClient

if "HEADWATER_REAL" not in os.environ:
    pytest.skip("real servers are installed and run by `nox -s real`", allow_module_level=True)
openai = pytest.importorskip("openai", reason="openai is not installed")
anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed")
pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
pytestmark = pytest.mark.real

ASKED: list[dict[str, Any]] = [{"role": "user", "content": "What is a river? Answer in one sentence."}]
WANTED: list[dict[str, Any]] = [{"role": "user", "content": "A river as JSON."}]
KEY = "key-of-a-test"
CUT_AFTER = 1500
"""Bytes of an answer that come through the relay: behind the first piece of the text, before the last."""


class River(msgspec.Struct):
    name: str
    length: int


class PydanticRiver(pydantic.BaseModel):  # type: ignore[name-defined, misc]
    name: str
    length: int


@pytest.fixture
def relay(llama: str) -> Iterator[str]:
    """The server's URL behind a relay that closes after some bytes of an answer."""
    port = int(llama.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_relay, args=(listener, port), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _relay(listener: socket.socket, port: int) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            with near, socket.create_connection(("127.0.0.1", port)) as far:
                asking = threading.Thread(target=_pump, args=(near, far, 1 << 30), daemon=True)
                asking.start()
                _pump(far, near, CUT_AFTER)
                near.shutdown(socket.SHUT_RDWR)
            asking.join()


def _pump(source: socket.socket, target: socket.socket, most: int) -> None:
    with suppress(OSError):
        while most > 0 and (data := source.recv(min(most, 4096))):
            target.sendall(data)
            most -= len(data)


def _openai_stream(client: Any, **asked: Any) -> str:
    with client.responses.stream(model="m", **asked) as stream:
        for _ in stream:
            pass
        return str(stream.get_final_response().output_text)


def _openai_events(client: Any, **asked: Any) -> str:
    *_, last = client.responses.create(model="m", stream=True, **asked)
    return f"no error; the last event is {last.type}"


def _anthropic_stream(client: Any, **asked: Any) -> str:
    with client.messages.stream(model="m", **asked) as stream:
        return str(stream.get_final_message().content[0].text)


def _told(ask: Callable[[], Any]) -> str:
    try:
        return f"{str(ask())[:60]!r}"
    except Exception as error:  # noqa: BLE001 - whatever it is, is told
        return type(error).__name__


def test_the_same_server(llama: str, capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {"max_output_tokens": 16, "temperature": 0.0}
    row: dict[str, Any] = {"max_tokens": 16, "messages": ASKED}
    typed: dict[str, Any] = {"max_tokens": 60, "messages": WANTED, "temperature": 0}
    with (
        openai.OpenAI(base_url=f"{llama}/v1", api_key=KEY, max_retries=0) as theirs,
        anthropic.Anthropic(base_url=llama, api_key=KEY, max_retries=0) as others,
        InferenceClient(base_url=llama, model="m", timeout=90, retries=0) as ours,
    ):
        said = ours.responses.create(ASKED, **given).output_text
        rows: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
            (
                "a response",
                lambda: theirs.responses.create(model="m", input=ASKED, **given).output_text,
                lambda: ours.responses.create(ASKED, **given).output_text,
            ),
            (
                "a response, streamed",
                lambda: _openai_stream(theirs, input=ASKED, **given),
                lambda: ours.responses.stream(ASKED, **given).result().output_text,
            ),
            (
                "a chat of a type",
                lambda: theirs.chat.completions.parse(model="m", response_format=PydanticRiver, **typed),
                lambda: ours.chat.completions.parse(response_format=River, **typed).parsed.name,
            ),
            (
                "a message",
                lambda: others.messages.create(model="m", **row).content[0].text,
                lambda: ours.messages.create(**row).text,
            ),
            (
                "a message, streamed",
                lambda: _anthropic_stream(others, **row),
                lambda: ours.messages.stream(**row).result().text,
            ),
            (
                "a count of tokens",
                lambda: others.messages.count_tokens(model="m", messages=ASKED).input_tokens,
                lambda: ours.messages.count_tokens(messages=ASKED).input_tokens,
            ),
        ]
        found = [(name, _told(first), str(second())[:60]) for name, first, second in rows]
    with capsys.disabled():
        print("", *(f"{name:22} theirs: {first:64} ours: {second!r}" for name, first, second in found), sep="\n")
    assert found[1][2] == said[:60] and all(second for _, _, second in found)


def test_an_answer_that_is_cut(relay: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Theirs end as if nothing were missing, or with a transport's error; ours is the same error everywhere, with what
    had come."""
    given: dict[str, Any] = {"max_output_tokens": 64, "temperature": 0.0}
    with openai.OpenAI(base_url=f"{relay}/v1", api_key=KEY, max_retries=0) as theirs:
        told = [_told(lambda: _openai_events(theirs, input=ASKED, **given))]
    with anthropic.Anthropic(base_url=relay, api_key=KEY, max_retries=0) as others:
        told.append(_told(lambda: _anthropic_stream(others, max_tokens=64, messages=ASKED)))
    with capsys.disabled():
        print(f"\na cut: openai's responses: {told[0]}, Anthropic's messages: {told[1]}")
    with InferenceClient(base_url=relay, model="m", timeout=90, retries=0) as ours:
        for run in (
            ours.responses.stream(ASKED, **given),
            ours.messages.stream(max_tokens=64, messages=ASKED),
            ours.chat_completion.stream(ASKED, max_tokens=64),
        ):
            with pytest.raises(HeadwaterError) as caught:
                run.result()
            assert type(caught.value).__name__ == "IncompleteStreamError" and caught.value.partial is not None


def test_an_answer_that_is_no_value(llama: str) -> None:
    """This server leaves the format of Responses and of Messages alone, and says nothing of it: the value is validated,
    and asked for again where that is wanted."""
    from headwater import InvalidAnswerError

    with InferenceClient(base_url=llama, model="m", timeout=90, retries=0) as ours:
        for ask in (
            lambda **more: ours.responses.parse("Say hello.", text_format=River, max_output_tokens=8, **more),
            lambda **more: ours.messages.parse(
                max_tokens=8, messages=[{"role": "user", "content": "Say hello."}], output_format=River, **more
            ),
        ):
            with pytest.raises(InvalidAnswerError) as caught:
                ask(temperature=0.0, on_invalid="ask again", max_tries=2)
            assert caught.value.text and caught.value.usage is not None
