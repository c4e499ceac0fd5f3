"""What the log says of calls: one line for what did not go straight, and all of them where somebody debugs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from itertools import count

import pytest
from support.drivers import Driver
from support.interleaving import with_another_between
from support.observed_calls import FIRST, QUESTION, SECOND, acts, answer, cut, hanging, refusal, stream, two

from headwater import IncompleteStreamError
from headwater.telemetry.log import set_up_log
from headwater.testing import ScriptedResponse

pytestmark = pytest.mark.anyio
NUMBER = re.compile(r"\d+(\.\d+)? m?s")


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and text, without seconds."""
    return [
        (record.levelname, NUMBER.sub("N s", record.getMessage()))
        for record in caplog.records
        if record.name == "headwater"
    ]


async def test_info_says_what_did_not_go_straight(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headwater")
    transport = acts(refusal(503), refusal(401), answer)
    async with driver.client("m", provider=two(), transport=transport) as client:
        await client.chat_completion(QUESTION)
    (one, two_) = lines(caplog)
    assert one[0] == two_[0] == "INFO"
    assert one[1].startswith(f"chat-completion m: waits N s before it tries again at {FIRST}: ServerError: ")
    assert two_[1].startswith(f"chat-completion m: turns from {FIRST} to {SECOND}: AuthenticationError: ")


async def test_info_says_that_a_call_is_hedged(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headwater")
    async with driver.client(provider=two(), transport=acts(hanging, answer), hedge_after=0.01) as client:
        await client.chat_completion(QUESTION)
    assert lines(caplog) == [
        ("INFO", f"chat-completion m: a second attempt begins at {SECOND}, for nothing has come after N s")
    ]


async def test_debug_says_what_calls_do(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "headwater")
    async with driver.client(base_url=f"{FIRST}/v1", transport=acts(answer, stream, cut), retries=0) as client:
        await client.chat_completion(QUESTION, model="m")
        async with client.chat_completion.stream(QUESTION) as run:
            await run.result()
        with pytest.raises(IncompleteStreamError):
            await client.chat_completion.stream(QUESTION).result()
    said = [line for level, line in lines(caplog) if level == "DEBUG"]
    assert said[:4] == [
        "chat-completion m begins",
        f"chat-completion m: request 1 to url: POST {FIRST}/v1/chat/completions",
        "chat-completion m: request 1 to url answered 200 after N s, request id req-1",
        "chat-completion m: success after N s at url, 5 tokens in, 3 out",
    ]
    assert said[4:9] == [
        "chat-completion begins as a stream",
        f"chat-completion: request 1 to url: POST {FIRST}/v1/chat/completions",
        "chat-completion: request 1 to url answered 200 after N s",
        "chat-completion: first event from url after N s",
        "chat-completion: success after N s at url, 3 events",
    ]
    assert said[-1].startswith("chat-completion: error (IncompleteStreamError: ")
    assert not any("Hi" in line or "Hello" in line for line in said)


@pytest.mark.dealt
async def test_an_errors_text_stays_in_one_line(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headwater")

    def talks() -> ScriptedResponse:
        return ScriptedResponse.json({"error": {"message": "one\ntwo " + "x" * 5000}}, status=503)

    async with driver.client(base_url=FIRST, transport=acts(talks, answer)) as client:
        await client.chat_completion(QUESTION)
    (line,) = lines(caplog)
    assert "one two" in line[1]
    assert len(line[1]) < 500


@pytest.mark.dealt
async def test_no_word_of_others_becomes_a_line_or_moves_a_cursor(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "headwater")

    def names_itself() -> ScriptedResponse:
        return ScriptedResponse.json(
            {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]},
            headers={"x-request-id": "one\x9b2J"},
        )

    async with driver.client(base_url=FIRST, transport=acts(names_itself)) as client:
        await client.chat_completion(QUESTION, model="m\nINFO headwater: all is well\x1b[2J\u202e")
    assert len(lines(caplog)) == 4
    assert all(line.isprintable() for _, line in lines(caplog))


@pytest.fixture
def unset_log() -> Iterator[None]:
    """The logger as a program finds it."""
    log = logging.getLogger("headwater")
    yield
    log.handlers.clear()
    log.setLevel(logging.NOTSET)


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("level", "found"),
    [
        ("debug", "DEBUG headwater: chat-completion begins"),
        (" INFO", "INFO headwater: chat-completion: waits"),
        ("warning", ""),
        ("", ""),
        ("WARN", ""),
        ("critical", ""),
        ("20", "INFO headwater: chat-completion: waits"),
        ("loud", "HEADWATER_LOG must be one of debug, info, warning, error, not 'loud'"),
    ],
)
@pytest.mark.usefixtures("unset_log")
async def test_the_environment_turns_it_on(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str, found: str
) -> None:
    monkeypatch.setenv("HEADWATER_LOG", level)
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's
    for _ in range(2):  # which is one handler all the same
        async with driver.client(base_url=FIRST, transport=acts(refusal(503), answer)) as client:
            await client.chat_completion(QUESTION)
    said = capsys.readouterr().err
    assert (found in said) if found else said == ""
    assert said.count("chat-completion begins") == (2 if level == "debug" else 0)
    assert said.count("must be one of") == (level == "loud")


@pytest.mark.dealt
@pytest.mark.usefixtures("unset_log")
async def test_a_program_that_logs_gets_each_line_once(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWATER_LOG", "debug")
    monkeypatch.setattr(logging.root, "handlers", [])
    async with driver.client(base_url=FIRST, transport=acts(answer)) as client:
        logging.basicConfig(format="mine %(message)s")
        await client.chat_completion(QUESTION)
    said = capsys.readouterr().err
    assert said.count("chat-completion begins") == said.count("mine chat-completion begins") == 1


@pytest.mark.dealt
@pytest.mark.usefixtures("unset_log")
async def test_a_level_that_the_program_set_stays(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    logging.getLogger("headwater").setLevel(logging.ERROR)
    monkeypatch.setenv("HEADWATER_LOG", "debug")
    driver.client(base_url=FIRST)
    assert logging.getLogger("headwater").level == logging.ERROR


@pytest.mark.usefixtures("unset_log")
def test_two_threads_first_clients_turn_it_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_LOG", "debug")
    log = logging.getLogger("headwater")
    for step in count():
        log.handlers.clear()
        log.setLevel(logging.NOTSET)
        if with_another_between(set_up_log, set_up_log, step) is None:
            break
        assert len(log.handlers) == 1, f"another thread came in at instruction {step}"
    assert step > 0
