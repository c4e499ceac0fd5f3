"""OpenAI's chat dialect, under every path that ends in ``/chat/completions``: whole answers and streams.

Refuses what OpenAI refuses, in the shape of the vendor that the path belongs to.
https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..wire import (
    CREATED,
    DONE,
    Dialect,
    DialectAnswer,
    DialectRequest,
    RefusedError,
    StreamAnswer,
    WholeAnswer,
    event,
    post,
)
from . import checks, messages, scripts, words
from .vendors import COUNTS_EVERY_STREAM, Complaint, refusal, vendor

THOUGHTS = {"minimal": 1, "low": 4, "medium": 8, "high": 16, "xhigh": 32}
"""Words of reasoning for each ``reasoning_effort``; "none" and no effort give none."""

FRAGMENT = 8
"""Characters of a tool call's arguments in one delta."""


@dataclass(frozen=True, slots=True)
class ChatChoice:
    """One of the answers to a chat, in tokens."""

    index: int
    thoughts: list[str]
    content: list[str]
    calls: list[dict[str, Any]]
    finish: str

    def spent(self) -> int:
        arguments = sum(len(words.pieces(call["function"]["arguments"])) for call in self.calls)
        return len(self.thoughts) + len(self.content) + arguments


def chat(call: DialectRequest) -> DialectAnswer:
    given = checks.known(call, checks.CHAT)
    asked = messages.checked(call, given)
    if given.get("top_logprobs") is not None and not given.get("logprobs"):
        raise checks.wrong(call, "'top_logprobs' is only allowed when 'logprobs' is true.", "top_logprobs")
    choices = [choice(call, given, asked, index) for index in range(given.get("n", 1))]
    usage = spending(sum(words.count(messages.text_of(message)) for message in asked), choices)
    if given.get("stream"):
        return StreamAnswer(chunks(call, given, choices, usage), headers(call))
    return WholeAnswer(completion(call, given, choices, usage), headers=headers(call))


def choice(
    call: DialectRequest, given: Mapping[str, Any], asked: Sequence[Mapping[str, Any]], index: int
) -> ChatChoice:
    """What answer number ``index`` says, within the limit of tokens, which thoughts count against as well."""
    text = messages.last_text(asked)
    limit = given.get("max_completion_tokens") or given.get("max_tokens") or words.MAX_WORDS
    thoughts = thinking(call, given, text)
    if (turn := call.script.turn(call.model, asked)) is not None:
        calls = scripts.calls(call, turn, given)
        return ChatChoice(index, thoughts, words.pieces(turn.text), calls, turn.finish)
    calls = messages.tool_calls(call, given, asked)
    if calls:
        return ChatChoice(index, thoughts, [], calls, "tool_calls")
    form = messages.structured(call, given, text)
    said = words.tokens(text, call.model, turn=index) if form is None else words.pieces(form)
    said, _ = words.until(said, checks.stops(call, given), keep=False)
    finish = "length" if len(thoughts) + len(said) > limit else "stop"
    return ChatChoice(index, thoughts[:limit], said[: max(0, limit - len(thoughts))], [], finish)


def thinking(call: DialectRequest, given: Mapping[str, Any], text: str) -> list[str]:
    effort = given.get("reasoning_effort", "none")
    if effort != "none" and effort not in THOUGHTS:
        message = f"Invalid value: {effort!r}. Supported values are: 'none', {str(tuple(THOUGHTS))[1:-1]}."
        raise checks.wrong(call, message, "reasoning_effort")
    return words.tokens(f"I think about: {text}", f"words-{THOUGHTS.get(effort, 0)}")


def spending(prompt: int, choices: Sequence[ChatChoice]) -> dict[str, Any]:
    spent = sum(choice.spent() for choice in choices)
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": spent,
        "total_tokens": prompt + spent,
    }
    if thoughts := sum(len(choice.thoughts) for choice in choices):
        usage["completion_tokens_details"] = {"reasoning_tokens": thoughts}
    return usage


def headers(call: DialectRequest) -> dict[str, str]:
    """What the router adds on its bare path: the name of the provider that it chose."""
    if not call.path.startswith("/v1/"):
        return {}
    suffix = call.model.rpartition(":")[2] if ":" in call.model else ""
    return {"x-inference-provider": "emulator" if suffix in ("", "fastest", "cheapest", "preferred") else suffix}


def envelope(call: DialectRequest, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{call.digest()}",
        "object": kind,
        "created": CREATED,
        "model": call.model,
        "system_fingerprint": "fp_emulator",
    }


def completion(
    call: DialectRequest, given: Mapping[str, Any], choices: Sequence[ChatChoice], usage: dict[str, Any]
) -> dict[str, Any]:
    answers = [
        {
            "index": choice.index,
            "message": message(choice),
            "logprobs": logprobs(given, choice.content),
            "finish_reason": choice.finish,
        }
        for choice in choices
    ]
    return envelope(call, "chat.completion") | {"choices": answers, "usage": usage}


def message(choice: ChatChoice) -> dict[str, Any]:
    content = None if choice.calls and not choice.content else "".join(choice.content)
    said: dict[str, Any] = {"role": "assistant", "content": content}
    said["refusal"] = None
    if choice.thoughts:
        said["reasoning"] = "".join(choice.thoughts)
    if choice.calls:
        said["tool_calls"] = choice.calls
    return said


def chunks(
    call: DialectRequest, given: Mapping[str, Any], choices: Sequence[ChatChoice], usage: dict[str, Any]
) -> Iterator[bytes]:
    """The events of a stream; several choices take turns, token by token."""
    counted = bool((given.get("stream_options") or {}).get("include_usage")) or vendor(call.path) in COUNTS_EVERY_STREAM
    head = envelope(call, "chat.completion.chunk")
    tail: dict[str, Any] = {"usage": None} if counted else {}
    for steps in itertools.zip_longest(*(deltas(given, choice) for choice in choices)):
        for step in filter(None, steps):
            yield event(head | {"choices": [step]} | tail)
    if counted:
        yield event(head | {"choices": [], "usage": usage})
    yield DONE


def deltas(given: Mapping[str, Any], choice: ChatChoice) -> Iterator[dict[str, Any]]:
    """One choice's chunks: the role, the reasoning, the content or the calls in fragments, the finish."""

    def step(delta: dict[str, Any], said: list[str] | None = None, finish: str | None = None) -> dict[str, Any]:
        scores = logprobs(given, said) if said is not None else None
        return {"index": choice.index, "delta": delta, "logprobs": scores, "finish_reason": finish}

    yield step({"role": "assistant", "content": None if choice.calls else ""})
    for thought in choice.thoughts:
        yield step({"reasoning": thought})
    for token in choice.content:
        yield step({"content": token}, [token])
    for number, call in enumerate(choice.calls):
        name = {"name": call["function"]["name"], "arguments": ""}
        yield step({"tool_calls": [{"index": number, "id": call["id"], "type": "function", "function": name}]})
        text = call["function"]["arguments"]
        for at in range(0, len(text), FRAGMENT):
            part = {"arguments": text[at : at + FRAGMENT]}
            yield step({"tool_calls": [{"index": number, "function": part}]})
    yield step({}, finish=choice.finish)


def logprobs(given: Mapping[str, Any], said: Sequence[str]) -> dict[str, Any] | None:
    if not given.get("logprobs"):
        return None
    top = given.get("top_logprobs") or 0
    return {
        "content": [score(token, 0) | {"top_logprobs": ranked(token, top)} for token in said],
        "refusal": None,
    }


def ranked(token: str, top: int) -> list[dict[str, Any]]:
    """The token itself, and made-up alternatives behind it."""
    return [score(token if rank == 0 else f"{token}~{rank}", rank) for rank in range(top)]


def score(token: str, rank: int) -> dict[str, Any]:
    return {"token": token, "logprob": words.logprob(token, rank), "bytes": list(token.encode())}


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    return refusal(call.path, Complaint(status, message))


DIALECT = Dialect("openai", (post(r"/chat/completions$", chat),), refuse)
