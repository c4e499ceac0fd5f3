"""Answers that are kept: to which requests, for whom, how they come again, and what is wrong with the file."""

from __future__ import annotations

import copy
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.drivers import Driver, in_thread
from support.job_providers import VENDORS, submissions
from support.job_providers import everywhere as everywhere
from support.job_providers import running as running

from headwater import (
    Budget,
    Cache,
    CacheError,
    CacheInfo,
    HeadwaterError,
    InferenceClient,
    InvalidAnswerError,
    InvalidParameterError,
    Job,
    Price,
)
from headwater.cache import store
from headwater.emulator.server import Emulator
from headwater.media.media import Media
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

pytestmark = pytest.mark.anyio

URL = "https://model.test/v1"
KEY = "sk-0123456789abcdefghij"
MESSAGES = [{"role": "user", "content": "hi"}]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    kept = Cache(tmp_path / "kept" / "answers.sqlite")
    yield kept
    kept.close()


def answer(text: str = "hello") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "a", "choices": [choice], "usage": USAGE, "vendor_word": 7}


def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"id": "a", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def serving(make: Callable[[SentRequest], ScriptedResponse] | None = None) -> MemoryTransport:
    """A server that answers chats, whole and streamed, unless it is told how."""

    def respond(request: SentRequest) -> ScriptedResponse:
        if make is not None:
            return make(request)
        if request.json().get("stream"):
            return ScriptedResponse.events(chunk("a"), chunk("b"), chunk("", "stop"))
        headers = {"x-request-id": "req-1", "set-cookie": "a=b", "x-ratelimit-remaining": "5"}
        return ScriptedResponse.json(answer(), headers=headers)

    return MemoryTransport(respond)


def client_of(driver: Driver, cache: Cache, transport: Any, **options: Any) -> Any:
    return driver.client(base_url=URL, model="m", api_key=KEY, cache=cache, transport=transport, **options)


# what comes again


async def test_the_second_answer_is_the_first_and_nothing_is_sent(driver: Driver, cache: Cache) -> None:
    transport, budget = serving(), Budget(usd=1)
    prices = {"m": Price(1, 2, call=0.1)}
    async with client_of(driver, cache, transport, prices=prices, budget=budget) as client:
        first = await client.chat_completion(MESSAGES, temperature=0)
        spent = budget.spent
        second = await client.chat_completion(MESSAGES, temperature=0)
    assert len(transport.requests) == 1
    assert second == first and second.raw == first.raw == answer()
    assert (first.facts.cached, second.facts.cached) == (False, True)
    assert second.facts.attempts == () and second.facts.provider == first.facts.provider
    assert second.facts.request_id == first.facts.request_id == "req-1"
    assert "set-cookie" not in second.facts.headers and not second.facts.limits and first.facts.limits
    assert first.facts.cost.usd > 0 == second.facts.cost.usd
    assert (budget.spent, budget.begun) == (spent, 1)


async def test_a_stream_comes_again_chunk_by_chunk(driver: Driver, cache: Cache) -> None:
    transport, seen, results = serving(), [], []
    async with client_of(driver, cache, transport) as client:
        for _ in range(2):
            async with client.chat_completion.stream(MESSAGES, seed=7) as run:
                seen.append([event async for event in run])
                assert run.partial == await run.result()
                results.append((await run.result(), run.outcome, run.facts.cached))
    assert len(transport.requests) == 1
    assert seen[0] == seen[1] and len(seen[0]) == 3
    assert results[0][0] == results[1][0] and [each[1:] for each in results] == [
        ("complete", False),
        ("complete", True),
    ]


async def test_a_kept_stream_can_be_left_and_the_next_is_whole(driver: Driver, cache: Cache) -> None:
    transport = serving()
    async with client_of(driver, cache, transport) as client:
        await client.chat_completion.stream(MESSAGES, seed=7).result()
        async with client.chat_completion.stream(MESSAGES, seed=7) as run:
            async for _ in run:
                break
        assert run.partial.choices[0].message.content == "a"
        whole = await client.chat_completion.stream(MESSAGES, seed=7).result()
    assert whole.choices[0].message.content == "ab" and len(transport.requests) == 1


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
@pytest.mark.dealt
async def test_a_job_and_its_media_come_again(
    vendor: Any, driver: Driver, everywhere: Emulator, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "jobs.sqlite", repeatable="all")
    runs = []
    async with vendor.client(driver, everywhere) as plain:
        client = plain.with_options(cache=cache)
        for _ in range(2):
            async with vendor.of(client).stream("waves") as run:
                events = [event async for event in run]
                runs.append((events[-1], run.job, run.facts.cached))
    cache.close()
    assert submissions(everywhere) == 1
    assert [cached for _, _, cached in runs] == [False, True]
    assert bytes_of(runs[0][0]) == bytes_of(runs[1][0]) and runs[0][1] == runs[1][1]


def bytes_of(result: Any) -> Any:
    return result.tobytes() if hasattr(result, "tobytes") else (bytes(result), result.mime_type)


async def test_a_sound_comes_again_with_its_type(driver: Driver, cache: Cache) -> None:
    sound = b"RIFF" + bytes(40)
    transport = serving(lambda _: ScriptedResponse(sound, content_type="audio/wav"))
    whole = Cache(cache.path, repeatable="all")
    async with driver.client(base_url="https://model.test", cache=whole, transport=transport) as client:
        found = [await client.text_to_speech("a") for _ in range(2)]
    whole.close()
    assert found == [sound, sound] and len(transport.requests) == 1
    assert isinstance(found[1], Media) and found[1].mime_type == "audio/wav"


async def test_a_typed_answer_and_the_tries_before_it(driver: Driver, cache: Cache) -> None:
    texts = iter(["no json", '{"n": 3}'])
    transport = serving(lambda _: ScriptedResponse.json(answer(next(texts))))
    typed: dict[str, Any] = {"response_format": dict[str, int], "on_invalid": "ask again", "temperature": 0}
    async with client_of(driver, cache, transport) as client:
        first, second = [await client.chat_completion(MESSAGES, **typed) for _ in range(2)]
    assert first.parsed == second.parsed == {"n": 3}
    assert len(first.tries) == len(second.tries) and second.facts.cached
    assert len(transport.requests) == 2


@pytest.mark.dealt
async def test_a_typed_stream_that_is_asked_for_again(driver: Driver, cache: Cache) -> None:
    texts = iter(["no json", '{"n": 3}'])
    transport = serving(lambda _: ScriptedResponse.events(chunk(next(texts), "stop")))
    typed: dict[str, Any] = {"response_format": dict[str, int], "on_invalid": "ask again", "temperature": 0}
    async with client_of(driver, cache, transport) as client:
        first, second = [await client.chat_completion.stream(MESSAGES, **typed).result() for _ in range(2)]
    assert first.parsed == second.parsed == {"n": 3} and second.facts.cached
    assert len(transport.requests) == 2


# what is kept

KEPT: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "no temperature": ({}, {}, False),
    "a temperature": ({}, {"temperature": 0.1}, False),
    "temperature 0": ({}, {"temperature": 0}, True),
    "a seed": ({}, {"seed": 0, "temperature": 1}, True),
    "stored by the server": ({}, {"seed": 1, "store": True}, False),
    "a seed in the body": ({}, {"extra_body": {"seed": 1}}, True),
    "stored, by the body": ({}, {"seed": 1, "extra_body": {"store": True}}, False),
    "all": ({"repeatable": "all"}, {}, True),
    "a function's yes": ({"repeatable": lambda task, given: task == "chat-completion"}, {}, True),
    "a function's no": ({"repeatable": lambda task, given: "tools" in given}, {"temperature": 0}, False),
}


@pytest.mark.dealt
@pytest.mark.parametrize(("how", "given", "is_kept"), KEPT.values(), ids=KEPT)
async def test_what_repeats(driver: Driver, tmp_path: Path, how: Any, given: Any, is_kept: bool) -> None:
    cache, transport = Cache(tmp_path / "answers", **how), serving()
    async with client_of(driver, cache, transport) as client:
        answers = [await client.chat_completion(MESSAGES, **given) for _ in range(2)]
    cache.close()
    assert [each.facts.cached for each in answers] == [False, is_kept]
    assert len(transport.requests) == 2 - is_kept


@pytest.mark.dealt
async def test_what_is_computed_repeats(driver: Driver, cache: Cache) -> None:
    vectors = {"data": [{"index": 0, "embedding": [0.5, 1.0]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    transport = serving(lambda _: ScriptedResponse.json(vectors))
    async with client_of(driver, cache, transport) as client:
        found = [await client.create_embedding("a") for _ in range(2)]
    assert found[0] == found[1] and len(transport.requests) == 1


class Text(str):
    """A text of a class of a program's own, as settings and command lines make them."""


async def test_texts_of_a_programs_own_class_are_kept_as_texts(driver: Driver, cache: Cache) -> None:
    transport = serving(lambda _: ScriptedResponse.json([[0.5, 1.0]]))
    server = driver.client(base_url=Text("https://own.test"), api_key=Text(KEY), cache=cache, transport=transport)
    async with server as client:
        found = [await client.feature_extraction(Text("a"), model=Text("m")) for _ in range(2)]
    assert found[0].tolist() == found[1].tolist() == [[0.5, 1.0]]
    assert len(transport.requests) == 1
    assert Job.from_json(Job(provider="p", task="t", id="i", model=Text("m")).to_json()).model == "m"


DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the question": ({}, {"messages": [{"role": "user", "content": "ho"}]}),
    "a parameter": ({}, {"max_tokens": 3}),
    "the model": ({}, {"model": "n"}),
    "the body": ({}, {"extra_body": {"top_k": 3}}),
    "a header": ({}, {"extra_headers": {"x-mode": "b"}}),
    "the key": ({"api_key": "sk-another-key-0123456789"}, {}),
    "the server": ({"base_url": "https://other.test/v1"}, {}),
}


@pytest.mark.dealt
@pytest.mark.parametrize(("options", "given"), DIFFERENT.values(), ids=DIFFERENT)
async def test_what_is_not_the_same(driver: Driver, cache: Cache, options: Any, given: Any) -> None:
    transport = serving()
    async with client_of(driver, cache, transport) as client:
        await client.chat_completion(MESSAGES, temperature=0)
        other = client.with_options(**options)
        again = await other.chat_completion(**{"messages": MESSAGES, "temperature": 0, **given})
        assert not again.facts.cached
        assert (await client.chat_completion(temperature=0, messages=MESSAGES, timeout=9)).facts.cached
    assert len(transport.requests) == 2


@pytest.mark.dealt
async def test_callers_share_what_they_want_to(driver: Driver, tmp_path: Path) -> None:
    cache, transport = Cache(tmp_path / "answers", shared=True), serving()
    async with client_of(driver, cache, transport) as client:
        await client.chat_completion(MESSAGES, temperature=0)
        other = client.with_options(api_key="sk-another-key-0123456789")
        assert (await other.chat_completion(MESSAGES, temperature=0)).facts.cached
    cache.close()


@pytest.mark.dealt
async def test_inputs_are_told_apart_by_what_is_in_them(driver: Driver, cache: Cache, tmp_path: Path) -> None:
    transport = serving(lambda _: ScriptedResponse.json([{"label": "a", "score": 0.5}]))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"1" * 40)
    async with driver.client(base_url="https://model.test", cache=cache, transport=transport) as client:
        await client.image_classification(str(path))
        await client.image_classification(path.read_bytes())
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"2" * 40)
        await client.image_classification(str(path))
    assert len(transport.requests) == 2


BAD: dict[str, Callable[[], ScriptedResponse]] = {
    "refused": lambda: ScriptedResponse.json({"error": {"message": "no"}}, status=500),
    "refused inside": lambda: ScriptedResponse.json({"error": {"message": "no"}}),
    "unreadable": lambda: ScriptedResponse(b"{", content_type="application/json"),
    "cut": lambda: ScriptedResponse.events(chunk("a"), last=None),
    "reset": lambda: ScriptedResponse(b"data: {", ConnectionResetError(), content_type="text/event-stream"),
}


@pytest.mark.dealt
@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
async def test_what_has_failed_is_not_kept(driver: Driver, cache: Cache, make: Any) -> None:
    async with client_of(driver, cache, serving(lambda _: make()), retries=0) as client:
        for _ in range(2):
            with pytest.raises((HeadwaterError, ConnectionResetError)):
                await client.chat_completion.stream(MESSAGES, seed=1).result()
        assert (await cache.ainfo()).answers == 0


async def test_what_was_left_is_not_kept(driver: Driver, cache: Cache) -> None:
    async with client_of(driver, cache, serving()) as client:
        async with client.chat_completion.stream(MESSAGES, seed=1) as run:
            async for _ in run:
                break
        with pytest.raises(InvalidAnswerError):
            await client.chat_completion(MESSAGES, seed=1, response_format=dict[str, int])
        assert (await cache.ainfo()).answers == 0


async def test_no_credential_is_in_the_file(driver: Driver, cache: Cache) -> None:
    def echo(request: SentRequest) -> ScriptedResponse:
        text = f"you are {KEY}" if "echo" in request.url else "hello"
        return ScriptedResponse.json(answer(text), headers={"x-request-id": KEY, "x-key": KEY})

    async with client_of(driver, cache, serving(echo), headers={"cookie": "session=s3cr3t-cookie"}) as client:
        await client.chat_completion(MESSAGES, temperature=0, extra_headers={"x-api-key": "ak-9876543210zyxw"})
        echoing = client.with_options(base_url="https://echo.test/v1")
        for _ in range(2):
            assert not (await echoing.chat_completion(MESSAGES, temperature=0)).facts.cached
        assert (await cache.ainfo()).answers == 1
    cache.close()
    written = await in_thread(lambda: b"".join(file.read_bytes() for file in Path(cache.path).parent.iterdir()))
    assert b"hello" in written
    for secret in (KEY, "s3cr3t-cookie", "ak-9876543210zyxw"):
        assert secret.encode() not in written
    assert os.name == "nt" or Path(cache.path).stat().st_mode & 0o077 == 0


# how long, and how much


@pytest.mark.dealt
async def test_an_answer_grows_old(driver: Driver, tmp_path: Path) -> None:
    cache, transport = Cache(tmp_path / "answers", ttl=3600), serving()
    async with client_of(driver, cache, transport) as client:
        await client.chat_completion(MESSAGES, temperature=0)
        assert (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
        cache.close()
        await in_thread(execute, cache.path, "UPDATE answers SET made = made - 4000")
        assert not (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
        assert (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
    assert (await cache.ainfo()).answers == 1
    cache.close()


@pytest.mark.dealt
async def test_what_was_not_used_makes_room(driver: Driver, tmp_path: Path) -> None:
    cache, transport = Cache(tmp_path / "answers", size=5000), serving()
    async with client_of(driver, cache, transport) as client:
        for number in range(40):
            await client.chat_completion(MESSAGES, seed=number)
        assert (await cache.ainfo()).size <= 5000 and 5 < (await cache.ainfo()).answers < 40
        assert (await client.chat_completion(MESSAGES, seed=39)).facts.cached
        assert not (await client.chat_completion(MESSAGES, seed=0)).facts.cached
        await cache.aclear()
        assert (await cache.ainfo()) == CacheInfo(0, 0)
        assert not (await client.chat_completion(MESSAGES, seed=39)).facts.cached
    cache.close()


async def test_many_calls_at_once(driver: Driver, cache: Cache) -> None:
    transport = serving()
    async with client_of(driver, cache, transport) as client:
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for number in range(40):
                    tasks.start_soon(partial(client.chat_completion, MESSAGES, seed=number))
    assert len(transport.requests) == (await cache.ainfo()).answers == 40


# the file


def test_two_processes_share_it(cache: Cache) -> None:
    program = f"""
import headwater, sys
from headwater.testing import MemoryTransport, ScriptedResponse
cache = headwater.Cache({cache.path!r})
transport = MemoryTransport(lambda _: ScriptedResponse.json({answer()!r}))
client = headwater.InferenceClient(base_url={URL!r}, model="m", api_key={KEY!r}, cache=cache, transport=transport)
for number in range(20):
    client.chat_completion({MESSAGES!r}, seed=number)
print(len(transport.requests))
"""
    both = [subprocess.Popen([sys.executable, "-W", "error", "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
    counts = [int(each.communicate(timeout=60)[0]) for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert 20 <= sum(counts) <= 40 and cache.info().answers == 20


async def test_who_opens_it_waits_for_the_process_that_makes_it(driver: Driver, cache: Cache) -> None:
    """As its log is switched on: SQLite itself does not wait there."""
    async with client_of(driver, cache, transport := serving()) as client:
        await client.chat_completion(MESSAGES, temperature=0)
        cache.close()
        other = sqlite3.connect(cache.path, isolation_level=None, check_same_thread=False)
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")
        maker = threading.Timer(0.1, other.execute, ["COMMIT"])
        maker.start()
        try:
            await client.chat_completion(MESSAGES, temperature=0)
        finally:
            maker.join()
            other.close()
    assert len(transport.requests) == 1


def execute(path: Path | str, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def foreign(path: Path) -> None:
    execute(path, "CREATE TABLE mine (a)")


def newer(path: Path) -> None:
    Cache(path).info()
    execute(path, "PRAGMA user_version = 99")


def damaged(path: Path) -> None:
    path.write_bytes(b"this is no database, but a text of some length" * 50)


@pytest.mark.dealt
@pytest.mark.parametrize("spoil", [foreign, newer, damaged])
async def test_a_file_that_is_no_cache_fails_no_call_and_is_left_alone(
    driver: Driver, tmp_path: Path, spoil: Any
) -> None:
    path, transport = tmp_path / "answers", serving()
    await in_thread(spoil, path)
    before, cache = await in_thread(path.read_bytes), Cache(path)
    async with client_of(driver, cache, transport) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                assert not (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
        for for_owner in (cache.ainfo, cache.aclear):
            with pytest.raises(CacheError, match="left as it is"):
                await for_owner()
    assert [each.category for each in caught if str(path) in str(each.message)] == [RuntimeWarning]
    assert await in_thread(path.read_bytes) == before and len(transport.requests) == 2


@pytest.mark.dealt
async def test_a_disk_that_fails_fails_no_answer(driver: Driver, tmp_path: Path) -> None:
    transport, folder = serving(), tmp_path / "folder"
    folder.mkdir()
    async with client_of(driver, Cache(folder), transport) as client:  # a folder is no file
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                assert not (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
    assert [each.category for each in caught if "folder" in str(each.message)] == [RuntimeWarning]


@pytest.mark.dealt
@pytest.mark.parametrize("rest", [30.0, 0.0])
async def test_a_locked_file_rests_and_is_used_again(
    driver: Driver, cache: Cache, monkeypatch: pytest.MonkeyPatch, rest: float
) -> None:
    """It is waited for once, and not by each of many calls."""
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(store, "REST_SECONDS", rest)
    transport = serving()
    await cache.ainfo()
    other = await in_thread(sqlite3.connect, cache.path, isolation_level=None, check_same_thread=False)
    await in_thread(other.execute, "BEGIN IMMEDIATE")
    async with client_of(driver, cache, transport) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await client.chat_completion(MESSAGES, temperature=0)
            await in_thread(other.close)
            cached = [(await client.chat_completion(MESSAGES, temperature=0)).facts.cached for _ in range(2)]
    assert ["locked" in str(each.message) for each in caught if cache.path in str(each.message)] == [True]
    assert cached == [False, not rest]


async def test_an_answer_of_the_future_is_none(driver: Driver, tmp_path: Path) -> None:
    """A clock that was wrong, and was set back: its answers would be kept for all that time and longer."""
    transport, cache = serving(), Cache(tmp_path / "a", ttl=3600)
    async with client_of(driver, cache, transport) as client:
        await client.chat_completion(MESSAGES, temperature=0)
        await in_thread(execute, cache.path, "UPDATE answers SET made = made + 30")
        assert (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
        await in_thread(execute, cache.path, "UPDATE answers SET made = made + 1e6")
        assert not (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
        assert (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
    cache.close()


@pytest.mark.dealt
async def test_a_damaged_row_is_asked_for(driver: Driver, cache: Cache) -> None:
    transport = serving()
    async with client_of(driver, cache, transport) as client:
        await client.chat_completion(MESSAGES, temperature=0)
        cache.close()
        await in_thread(execute, cache.path, "UPDATE answers SET tape = x'00ff'")
        assert not (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
        assert (await client.chat_completion(MESSAGES, temperature=0)).facts.cached


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open is not deleted there")
async def test_a_file_that_is_deleted_or_replaced_is_made_anew(driver: Driver, cache: Cache) -> None:
    path = Path(cache.path)

    async def cached() -> bool:
        return bool((await client.chat_completion(MESSAGES, temperature=0)).facts.cached)

    async with client_of(driver, cache, serving()) as client:
        assert [await cached() for _ in range(2)] == [False, True]
        cache.close()
        kept = path.read_bytes()
        assert await cached()
        path.unlink()
        assert [await cached() for _ in range(2)] == [False, True]
        path.with_suffix(".old").write_bytes(kept)
        path.with_suffix(".old").replace(path)
        assert await cached()
    cache.close()
    assert (await Cache(path).ainfo()).answers == 1


async def test_a_file_that_may_only_be_read_is_read(
    driver: Driver, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, transport = Path(cache.path), serving()
    async with client_of(driver, cache, transport) as client:
        await client.chat_completion(MESSAGES, temperature=0)
    cache.close()
    path.chmod(0o400)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as it is for all but the superuser
    before = path.read_bytes()
    reader = Cache(path)
    async with client_of(driver, reader, transport) as client:
        assert (await client.chat_completion(MESSAGES, temperature=0)).facts.cached
        with pytest.warns(RuntimeWarning, match="may only be read"):
            assert not (await client.chat_completion(MESSAGES, seed=1)).facts.cached
        assert not (await client.chat_completion(MESSAGES, seed=1)).facts.cached, "told once"
        assert (await client.chat_completion(MESSAGES, temperature=0)).facts.cached, "and is read on"
    assert (await reader.ainfo()).answers == 1
    reader.close()
    assert path.read_bytes() == before and len(transport.requests) == 3


async def later(task: str, given: Any) -> bool:
    return False


WRONG: list[dict[str, Any]] = [{"ttl": 0}, {"ttl": "a"}, {"size": 0}, {"size": True}, {"repeatable": "some"}]
WRONG += [{"repeatable": later}, {"repeatable": bool}, {"repeatable": lambda task: True}, {"repeatable": 1}]


@pytest.mark.parametrize("options", WRONG)
def test_what_is_no_cache(options: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError):
        Cache(tmp_path / "a", **options)
    with pytest.raises(InvalidParameterError, match="cache"):
        InferenceClient(base_url=URL, cache=options)


def test_a_cache_is_its_path(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a", ttl=5, size=7, repeatable="all", shared=True)
    again = pickle.loads(pickle.dumps(cache))
    assert (again.path, again.ttl, again.size, again.shared) == (cache.path, 5, 7, True)
    assert again.repeats("text-to-image", {}) and copy.deepcopy(cache) is cache
    assert not Path(cache.path).exists()
    assert str(tmp_path) in repr(cache)
