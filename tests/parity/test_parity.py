"""Side by side with huggingface_hub: both clients make the same calls to the same server, and ask it the same.

Where they do not, differences.toml says why; a difference that it does not name fails, and so does a reason that is
needed no more. Skipped where the peer is not installed: `nox -s parity` installs it.
"""

from __future__ import annotations

import fnmatch
import tomllib
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from parity.calls import CALLS
from parity.request_differences import differences
from parity.server import Asked, Server

from headwater import InferenceClient
from headwater.providers import PROVIDERS

peer = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed; nox -s parity installs it")
httpx2 = pytest.importorskip("httpx2", reason="huggingface_hub's HTTP library is not installed")

NAMES = {"conversational": "chat-completion"}
KEYS = {"direct": "key-of-theirs", "routed": "hf_token"}
BILLED = {KEYS["routed"]: "org"}
ONLY = {"hf-inference": ("routed",), "openai": ("direct",)}
"""Providers that are reached in one way alone."""


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    """A difference on purpose; differences.toml says what its fields are."""

    reason: str
    place: tuple[str, ...]
    provider: tuple[str, ...] = ("*",)
    task: tuple[str, ...] = ("*",)
    ours: str = "*"
    theirs: str = "*"
    everywhere: bool = False

    def holds(self, found: Difference) -> bool:
        names = (
            (self.provider, found.provider),
            (self.task, found.task),
            (self.place, found.place),
            ((self.ours,), str(found.ours)),
            ((self.theirs,), str(found.theirs)),
        )
        return all(any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) for patterns, name in names)


class Difference(msgspec.Struct):
    """What one call of a pair asks otherwise. `call`: the way to the provider, and the call's number."""

    provider: str
    task: str
    call: str
    place: str
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return f"{self.call}: {self.place}: ours {self.ours!r}, theirs {self.theirs!r}"

    @property
    def rules(self) -> list[Rule]:
        """The reasons that it has."""
        return [rule for rule in RULES if rule.holds(self)]


RULES = [
    msgspec.convert(rule, Rule)
    for rule in tomllib.loads((Path(__file__).parent / "differences.toml").read_text(encoding="utf-8"))["difference"]
]


def pairs() -> list[tuple[str, str]]:
    """Every provider and task that the peer has, by our names."""
    from huggingface_hub.inference._providers import PROVIDERS as THEIRS

    return [(name, NAMES.get(task, task)) for name, tasks in THEIRS.items() for task in tasks]


def has(provider: str, task: str) -> bool:
    return provider in PROVIDERS and task in PROVIDERS[provider].tasks


def method(client: Any, task: str) -> Any:
    return getattr(client, task.replace("-", "_"))


def consumed(result: Any) -> Any:
    """A stream is read to its end."""
    return list(result) if isinstance(result, Iterator) else result


def ask_ours(server: Server, key: str, given: dict[str, Any]) -> Asked:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = Asked(request.method, str(request.url), dict(request.headers), request.read())
        body, kind = server.answer(asked)
        return httpx.Response(200, content=body, headers={"content-type": kind})

    async def respond(request: httpx.Request) -> httpx.Response:
        await request.aread()
        return answer(request)

    transport, bill_to = httpx.MockTransport(respond), BILLED.get(key)
    client = InferenceClient(provider=server.provider, token=key, bill_to=bill_to, transport=transport)
    with client, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of arguments that a vendor does not take
        consumed(method(client, server.task)(**given, model=server.model))
    return server.main


def ask_theirs(server: Server, key: str, given: dict[str, Any]) -> Asked:
    def answer(request: Any) -> Any:
        body, kind = server.answer(Asked(request.method, str(request.url), dict(request.headers), request.read()))
        return httpx2.Response(200, content=body, headers={"content-type": kind})

    peer.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True))
    client = peer.InferenceClient(provider=server.provider, api_key=key, bill_to=BILLED.get(key))
    try:
        consumed(method(client, server.task)(**given, model=server.model))
    except Exception:  # what it does with the answer is not compared, only what it asked
        if not server.asked:
            raise
    finally:
        peer.close_session()
    return server.main


@cache
def compared(provider: str, task: str) -> list[Difference]:
    """What differs, in each way of reaching the provider and call by call."""
    found = []
    for way in ONLY.get(provider, tuple(KEYS)):
        for number, given in enumerate(CALLS[task], 1):
            ours, theirs = (ask(Server(provider, task), KEYS[way], given) for ask in (ask_ours, ask_theirs))
            for place, values in differences(ours, theirs).items():
                found.append(Difference(provider, task, f"{way} {number}", place, *values))
    return found


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.mark.parametrize(("provider", "task"), pairs())
def test_the_same_request(provider: str, task: str) -> None:
    assert has(provider, task)
    assert [str(found) for found in compared(provider, task) if not found.rules] == []


def test_every_reason_is_needed() -> None:
    needed = {rule.reason for pair in pairs() for found in compared(*pair) for rule in found.rules}
    assert {rule.reason for rule in RULES} - needed == set()


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Pairs that are the same, different on purpose, different, missing."""
    verdicts = {pair: verdict(*pair) for pair in pairs()}
    with capsys.disabled():
        print(f"\nheadwater and huggingface_hub {peer.__version__}, {len(verdicts)} pairs of provider and task")
        for word in WORDS:
            print(f"  {word}: {list(verdicts.values()).count(word)}")
        for reason in sorted({rule.reason for rule in RULES if rule.everywhere}):
            print(f"everywhere: {reason}")
        for pair in verdicts:
            print(f"{' '.join(pair)}: {verdicts[pair]}{reasons(*pair)}")
    assert set(verdicts.values()) <= {"same", "different on purpose"}


WORDS = ("same", "different on purpose", "different", "missing")


def verdict(provider: str, task: str) -> str:
    if not has(provider, task):
        return "missing"
    kinds = [found.rules for found in compared(provider, task)]
    if not all(kinds):
        return "different"
    return "same" if all(any(rule.everywhere for rule in rules) for rules in kinds) else "different on purpose"


def reasons(provider: str, task: str) -> str:
    """Why the pair differs, a line each."""
    found = [rule for each in compared(provider, task) for rule in each.rules] if has(provider, task) else []
    return "".join(f"\n    {reason}" for reason in dict.fromkeys(rule.reason for rule in found if not rule.everywhere))
