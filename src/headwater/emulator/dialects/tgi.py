"""Text Generation Inference's dialect: ``POST /generate``, ``/generate_stream``; ``GET /info``, ``/health``.

``/`` (or ``/tgi``) answers a one-element list, ``/generate`` the object in it, as TGI's two routes do.
Refuses, with 422, what TGI refuses: in plain text what its JSON parser would not read, as ``{"error",
"error_type"}`` what its validation rejects.
https://huggingface.github.io/text-generation-inference/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..wire import (
    Dialect,
    DialectAnswer,
    DialectRequest,
    RefusedError,
    StreamAnswer,
    WholeAnswer,
    dumps,
    event,
    get,
    post,
)
from . import schemas, words
from .checks import fits, spoken

TYPES = {
    "adapter_id": "string",
    "best_of": "integer",
    "decoder_input_details": "boolean",
    "details": "boolean",
    "do_sample": "boolean",
    "frequency_penalty": "number",
    "grammar": "object",
    "max_new_tokens": "integer",
    "repetition_penalty": "number",
    "return_full_text": "boolean",
    "seed": "integer",
    "stop": "array",
    "temperature": "number",
    "top_k": "integer",
    "top_n_tokens": "integer",
    "top_p": "number",
    "truncate": "integer",
    "typical_p": "number",
    "watermark": "boolean",
}
"""Parameters with their types; those that TGI does not know it ignores."""

END = "</s>"
"""The special token that ends an answer which no limit and no stop sequence ended."""
POSITIVE = ("best_of", "max_new_tokens", "repetition_penalty", "temperature", "top_k")
FRACTIONS = ("top_p", "typical_p")
MAX_STOPS = 4


def unreadable(call: DialectRequest, why: str) -> RefusedError:
    """What the JSON parser says of a body of the wrong shape."""
    place = f"at line 1 column {len(call.body)}"
    text = f"Failed to deserialize the JSON body into the target type: {why} {place}"
    return RefusedError(WholeAnswer(text, 422, media_type="text/plain"))


def invalid(message: str) -> RefusedError:
    return RefusedError(WholeAnswer({"error": f"Input validation error: {message}", "error_type": "validation"}, 422))


def checked(call: DialectRequest) -> tuple[str, dict[str, Any]]:
    """The inputs and the parameters that are not null."""
    inputs, given = call.json.get("inputs"), call.json.get("parameters") or {}
    if inputs is None:
        raise unreadable(call, "missing field `inputs`")
    if not isinstance(inputs, str):
        raise unreadable(call, f"invalid type: {spoken(inputs)}, expected a string")
    if not isinstance(given, dict):
        raise unreadable(call, f"parameters: invalid type: {spoken(given)}, expected a map")
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        if name in TYPES and not fits(value, TYPES[name]):
            raise unreadable(call, f"parameters.{name}: invalid type: {spoken(value)}, expected {TYPES[name]}")
    validate(inputs, given, streamed(call))
    return inputs, given


def validate(inputs: str, given: Mapping[str, Any], stream: bool) -> None:
    if not inputs:
        raise invalid("`inputs` cannot be empty")
    for name in POSITIVE:
        if given.get(name, 1) <= 0:
            raise invalid(f"`{name}` must be strictly positive")
    for name in FRACTIONS:
        if not 0 < given.get(name, 0.5) < 1:
            raise invalid(f"`{name}` must be > 0.0 and < 1.0")
    if len(given.get("stop", ())) > MAX_STOPS:
        raise invalid(f"`stop` supports up to {MAX_STOPS} stop sequences. Given: {len(given['stop'])}")
    if stream and given.get("best_of", 1) > 1:
        raise invalid("`best_of` != 1 is not supported when streaming tokens")
    if stream and given.get("decoder_input_details"):
        raise invalid("`decoder_input_details` == true is not supported when streaming tokens")


def streamed(call: DialectRequest) -> bool:
    return call.json.get("stream") is True or call.path.endswith("/generate_stream")


def generated(call: DialectRequest, inputs: str, given: Mapping[str, Any], turn: int = 0) -> tuple[list[str], str]:
    """The tokens of an answer, the special one included, and why it ended."""
    grammar = given.get("grammar")
    said = words.tokens(inputs, call.model, turn=turn) if grammar is None else constrained(grammar, inputs)
    said = [f" {said[0]}", *said[1:]] if grammar is None and said else said
    said, stop = words.until(said, given.get("stop", ()), keep=True)
    limit = given.get("max_new_tokens", words.MAX_WORDS)
    if len(said) > limit:
        return said[:limit], "length"
    return (said, "stop_sequence") if stop else ([*said, END], "eos_token")


def constrained(grammar: Mapping[str, Any], text: str) -> list[str]:
    """A text that a JSON grammar allows; a regular expression cannot be satisfied here."""
    kind, value = grammar.get("type"), grammar.get("value")
    if kind not in ("json", "json_schema") or not isinstance(value, dict):
        raise invalid(f"grammar of type {kind!r} is not supported by the emulator")
    schema = value.get("schema") if kind == "json_schema" else value
    try:
        return words.pieces(dumps(schemas.example(schema, text)).decode())
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError, ZeroDivisionError) as error:
        raise invalid(f"grammar is not valid: {error}") from error


def text_of(said: list[str], inputs: str, given: Mapping[str, Any]) -> str:
    text = "".join(token for token in said if token != END)
    return inputs + text if given.get("return_full_text") else text


def generate(call: DialectRequest) -> DialectAnswer:
    """``/generate``: one object."""
    inputs, given = checked(call)
    if streamed(call):
        return StreamAnswer(events(call, inputs, given))
    return WholeAnswer(answer(call, inputs, given))


def compatible(call: DialectRequest) -> DialectAnswer:
    """``/``: a list of one object."""
    found = generate(call)
    return WholeAnswer([found.body]) if isinstance(found, WholeAnswer) else found


def answer(call: DialectRequest, inputs: str, given: Mapping[str, Any]) -> dict[str, Any]:
    said, finish = generated(call, inputs, given)
    made: dict[str, Any] = {"generated_text": text_of(said, inputs, given)}
    if given.get("details") or given.get("decoder_input_details"):
        made["details"] = details(inputs, given, said, finish)
        if given.get("best_of", 1) > 1:
            made["details"]["best_of_sequences"] = [other(call, inputs, given, n) for n in range(1, given["best_of"])]
    return made


def other(call: DialectRequest, inputs: str, given: Mapping[str, Any], turn: int) -> dict[str, Any]:
    """One of the answers that was not the best."""
    said, finish = generated(call, inputs, given, turn)
    return {"generated_text": text_of(said, inputs, given)} | details(inputs, given, said, finish)


def details(inputs: str, given: Mapping[str, Any], said: list[str], finish: str) -> dict[str, Any]:
    prompt = inputs.split() if given.get("decoder_input_details") else []
    found: dict[str, Any] = {
        "finish_reason": finish,
        "generated_tokens": len(said),
        "seed": given.get("seed"),
        "prefill": [prefilled(word, first=n == 0) for n, word in enumerate(prompt)],
        "tokens": [token(text) for text in said],
    }
    if top := given.get("top_n_tokens"):
        found["top_tokens"] = [alternatives(text, top) for text in said]
    return found


def prefilled(word: str, *, first: bool) -> dict[str, Any]:
    return {"id": words.number(word), "text": word, "logprob": None if first else words.logprob(word)}


def token(text: str, rank: int = 0) -> dict[str, Any]:
    scored = {"id": words.number(text), "text": text, "logprob": words.logprob(text, rank)}
    return scored | {"special": text == END}


def alternatives(text: str, top: int) -> list[dict[str, Any]]:
    return [token(text if rank == 0 else f"{text}~{rank}", rank) for rank in range(top)]


def events(call: DialectRequest, inputs: str, given: Mapping[str, Any]) -> Iterator[bytes]:
    """A token an event; the last one has the text and the details as well."""
    said, finish = generated(call, inputs, given)
    top = given.get("top_n_tokens")
    for index, text in enumerate(said, 1):
        last = index == len(said)
        step: dict[str, Any] = {"index": index, "token": token(text)}
        if top:
            step["top_tokens"] = alternatives(text, top)
        step["generated_text"] = text_of(said, inputs, given) if last else None
        step["details"] = summary(inputs, given, said, finish) if last else None
        # TGI writes no space behind "data:", as the event stream format allows.
        yield event(step, prefix=b"data:")


def summary(inputs: str, given: Mapping[str, Any], said: list[str], finish: str) -> dict[str, Any]:
    return {
        "finish_reason": finish,
        "generated_tokens": len(said),
        "seed": given.get("seed"),
        "input_length": words.count(inputs),
    }


def info(call: DialectRequest) -> DialectAnswer:
    return WholeAnswer(
        {
            "model_id": call.model or "emulator/chat",
            "model_sha": None,
            "model_pipeline_tag": "text-generation",
            "max_concurrent_requests": 128,
            "max_best_of": 2,
            "max_stop_sequences": MAX_STOPS,
            "max_input_tokens": words.MAX_WORDS,
            "max_total_tokens": 2 * words.MAX_WORDS,
            "max_client_batch_size": 4,
            "router": "text-generation-router",
            "version": "3.3.6",
            "sha": None,
            "docker_label": None,
        }
    )


def health(call: DialectRequest) -> DialectAnswer:
    return WholeAnswer(b"", media_type="text/plain")


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    if status == 400:
        return RefusedError(WholeAnswer(message, 400, media_type="text/plain"))
    return RefusedError(WholeAnswer({"error": message}, status))


DIALECT = Dialect(
    "tgi",
    (
        post(r"^/tgi$", compatible),
        post(r"/generate(_stream)?$", generate),
        get(r"^/(models/(?P<model>.+)/)?info$", info),
    ),
    refuse,
)
HEALTH = Dialect("health", (get(r"^/health$", health),), refuse, public=True)
