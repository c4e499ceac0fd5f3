"""OpenAI's other calls: ``*/completions``, ``*/embeddings`` and ``GET */models``.

Refuses what OpenAI refuses, in the shape of the vendor that the path belongs to.
https://platform.openai.com/docs/api-reference/completions and .../embeddings
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..wire import CREATED, DONE, Dialect, DialectAnswer, DialectRequest, StreamAnswer, WholeAnswer, event, get, post
from . import checks, messages, words
from .openai import refuse

MODELS = ("emulator/chat", "emulator/base", "emulator/embed")
OFFERED = [
    {
        "provider": "groq",
        "status": "live",
        "context_length": 131072,
        "pricing": {"input": 0.1, "output": 0.4},
        "supports_tools": False,
        "supports_structured_output": True,
        "first_token_latency_ms": 120,
        "throughput": 400.5,
    },
    {
        "provider": "together",
        "status": "live",
        "context_length": 32768,
        "pricing": {"input": 0.2, "output": 0.2},
        "supports_tools": True,
        "supports_structured_output": False,
        "first_token_latency_ms": 300,
        "throughput": 90,
    },
]
"""Who offers each of them: https://huggingface.co/docs/inference-providers/hub-api"""


@dataclass(frozen=True, slots=True)
class Continuation:
    """One of the texts that a prompt is continued with, in tokens."""

    index: int
    said: list[str]
    finish: str


def completions(call: DialectRequest) -> DialectAnswer:
    given = checks.known(call, checks.COMPLETIONS)
    if "prompt" not in given:
        raise checks.missing(call, "prompt")
    prompts = texts(call, given["prompt"], "prompt")
    each = given.get("n", 1)
    made = [
        continuation(call, given, prompt, number * each + turn, turn)
        for number, prompt in enumerate(prompts)
        for turn in range(each)
    ]
    spent, asked = sum(len(one.said) for one in made), sum(words.count(prompt) for prompt in prompts)
    usage = {"prompt_tokens": asked, "completion_tokens": spent, "total_tokens": asked + spent}
    if given.get("stream"):
        return StreamAnswer(chunks(call, given, made, usage))
    choices = [choice(given, one, one.said, one.finish) for one in made]
    return WholeAnswer(envelope(call) | {"choices": choices, "usage": usage})


def continuation(call: DialectRequest, given: Mapping[str, Any], prompt: str, index: int, turn: int) -> Continuation:
    limit = given.get("max_tokens", words.WORDS if "response_format" not in given else words.MAX_WORDS)
    form = messages.structured(call, given, prompt)  # vLLM's and llama.cpp's; OpenAI has it for chats alone
    made = words.tokens(prompt, call.model, turn=turn) if form is None else words.pieces(form)
    said, _ = words.until(made, checks.stops(call, given), keep=False)
    finish = "length" if len(said) > limit else "stop"
    echoed = [prompt, " "] if given.get("echo") else []
    return Continuation(index, echoed + said[:limit], finish)


def texts(call: DialectRequest, value: str | list[Any], param: str) -> list[str]:
    """The texts of a prompt or an input: a string, strings, the ids of tokens, or lists of such ids."""
    if isinstance(value, str):
        found = [value]
    elif value and all(isinstance(item, str) for item in value):
        found = value
    elif value and all(token_ids(item) for item in value):
        found = [" ".join(map(str, ids)) for ids in value]
    elif token_ids(value):
        found = [" ".join(map(str, value))]
    else:
        raise checks.wrong(call, f"'{param}' is invalid. Please check the API reference.", param)
    if param == "input" and not all(found):
        raise checks.wrong(call, f"'{param}' cannot be an empty string", param)
    return found


def token_ids(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(checks.fits(item, "integer") for item in value)


def envelope(call: DialectRequest) -> dict[str, Any]:
    return {
        "id": f"cmpl-{call.digest()}",
        "object": "text_completion",
        "created": CREATED,
        "model": call.model,
    }


def choice(given: Mapping[str, Any], one: Continuation, said: Sequence[str], finish: str | None) -> dict[str, Any]:
    scores = logprobs(said, given["logprobs"]) if given.get("logprobs") is not None else None
    return {"index": one.index, "text": "".join(said), "logprobs": scores, "finish_reason": finish}


def logprobs(said: Sequence[str], top: int) -> dict[str, Any]:
    ranks = [{token if r == 0 else f"{token}~{r}": words.logprob(token, r) for r in range(top)} for token in said]
    return {
        "tokens": list(said),
        "token_logprobs": [words.logprob(token) for token in said],
        "top_logprobs": ranks if top else None,
        "text_offset": [sum(map(len, said[:at])) for at in range(len(said))],
    }


def chunks(
    call: DialectRequest, given: Mapping[str, Any], made: Sequence[Continuation], usage: dict[str, Any]
) -> Iterator[bytes]:
    counted = bool((given.get("stream_options") or {}).get("include_usage"))
    head = envelope(call) | ({"usage": None} if counted else {})
    for one in made:
        for token in one.said:
            yield event(head | {"choices": [choice(given, one, [token], None)]})
        yield event(head | {"choices": [choice(given, one, [], one.finish)]})
    if counted:
        yield event(head | {"choices": [], "usage": usage})
    yield DONE


def embeddings(call: DialectRequest) -> DialectAnswer:
    given = checks.known(call, checks.EMBEDDINGS)
    if "input" not in given:
        raise checks.missing(call, "input")
    form = given.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise checks.wrong(
            call, f"Invalid value: {form!r}. Supported values are: 'float', 'base64'.", "encoding_format"
        )
    inputs = texts(call, given["input"], "input")
    length = given.get("dimensions") or dimensions(call.model)
    vectors = [words.vector(text, length) for text in inputs]
    data = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if form == "base64" else vector}
        for index, vector in enumerate(vectors)
    ]
    asked = sum(words.count(text) for text in inputs)
    usage = {"prompt_tokens": asked, "total_tokens": asked}
    return WholeAnswer({"object": "list", "data": data, "model": call.model, "usage": usage})


def dimensions(model: str) -> int:
    return max(1, words.asked(model, "dim", words.DIMENSIONS, words.MAX_DIMENSIONS))


def packed(vector: Sequence[float]) -> str:
    """A vector as OpenAI packs it: little-endian 32-bit floats in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def models(call: DialectRequest) -> DialectAnswer:
    listed = [entry(model) for model in MODELS]
    if call.path == "/v1/models":  # as the router has it, at its bare path
        listed = [model | {"providers": OFFERED} for model in listed]
    return WholeAnswer({"object": "list", "data": listed})


def model(call: DialectRequest) -> DialectAnswer:
    return WholeAnswer(entry(call.model))


def entry(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": CREATED, "owned_by": "emulator"}


DIALECT = Dialect(
    "openai",
    (
        post(r"(?<!/chat)/completions$", completions),
        post(r"/embeddings$", embeddings),
        get(r"/(?:v\d+|openai|models)/models$|^/models$", models),
        get(r"/v\d+/models/(?P<model>.+)$", model),
    ),
    refuse,
)
