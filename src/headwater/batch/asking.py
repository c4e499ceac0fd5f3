"""An input line as a call: OpenAI's Batch lines by their URL, and a short form for every task.

    {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": .., "messages": [..]}}
    {"custom_id": "b", "task": "text-to-image", "inputs": "a lighthouse", "parameters": {"width": 512}, "model": ..}

A body's fields that the task does not know go to the server as they are. URLs that are no task's of ours (`POSTED`) are
posted to the client's server, and its answer is kept as it is. All else is refused, with `InvalidParameterError`.
https://platform.openai.com/docs/api-reference/batch/request-input
https://docs.vllm.ai/en/latest/examples/offline_inference/openai_batch.html
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ..calling import Task
from ..errors import InvalidParameterError, UnsupportedTaskError
from ..openai_names import image_arguments, speech_arguments, transcription_arguments
from ..task_rows import Tasks
from ..tasks import audio, chat, embeddings, generation
from ..tasks.declare import Declaration
from .source import Item

Form = Literal["openai", "images", "base64 images", "posted", "task"]

POSTED: Final = frozenset(
    {
        "/v1/completions",
        "/v1/responses",
        "/v1/moderations",
        "/v1/score",
        "/v1/rerank",
        "/v2/rerank",
        "/score",
        "/rerank",
    }
)
"""OpenAI's and vLLM's paths that are no task of ours."""


class Line(msgspec.Struct):
    """What a line may have."""

    custom_id: str | int | None = None
    method: str = "POST"
    url: str | None = None
    body: dict[str, Any] | None = None
    task: str | None = None
    inputs: Any = None
    parameters: dict[str, Any] = {}
    model: str | None = None
    provider: str | None = None


class Asked(NamedTuple):
    """What one record asks for: a task with its arguments, or a path with what is posted there."""

    form: Form
    arguments: dict[str, Any]
    declaration: Declaration[..., Any, Any] | None = None
    path: str = ""
    provider: str | None = None
    streams: bool = False

    @property
    def model(self) -> str | None:
        """The model that the line names."""
        model = self.arguments.get("model")
        return model if isinstance(model, str) else None


_decoder: Final = msgspec.json.Decoder(Line)


def custom_id_of(item: Item) -> str:
    """The record's name: its own, else its line's number from 1."""
    try:
        name = _decoder.decode(item.line).custom_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        name = None
    return str(item.number + 1) if name is None else str(name)


def read(item: Item) -> Asked:
    """What the line asks for."""
    try:
        line = _decoder.decode(item.line)
    except msgspec.ValidationError as error:
        raise InvalidParameterError(f"the line is not as it must be: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InvalidParameterError("the line is no JSON object") from None
    if item.is_repeated:
        raise InvalidParameterError(f"an earlier line has the custom_id {custom_id_of(item)[:100]!r}, too")
    if line.url is not None:
        return _openai(line)
    if line.task is not None:
        _check_names(item.line)
        return _task(line, line.task)
    raise InvalidParameterError('the line has neither a "url" with a "body" nor a "task"')


# -- OpenAI's form


def _openai(line: Line) -> Asked:
    url = line.url or ""
    if line.method.upper() != "POST":
        raise InvalidParameterError(f"the method is {line.method[:20]!r}; a batch sends POST alone")
    if line.body is None:
        raise InvalidParameterError(f'a line with the url {url!r} needs a "body"')
    body = dict(line.body)
    if url in POSTED:
        body.pop("stream", None)
        return Asked("posted", body, path=url, provider=line.provider)
    row = _URLS.get(url)
    if row is None:
        known = ", ".join(sorted({*_URLS, *POSTED}))
        raise InvalidParameterError(f"the url {url[:100]!r} is none that a batch knows: {known}")
    declaration, form, arguments = row
    if form == "images" and body.get("response_format") == "b64_json":
        form = "base64 images"
    streams = bool(body.pop("stream", None))
    return Asked(form, arguments(body), declaration, provider=line.provider, streams=streams)


def _taken(declaration: Declaration[..., Any, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A body's fields that are the task's parameters, and the others as its `extra_body`."""

    def arguments(body: dict[str, Any]) -> dict[str, Any]:
        known = declaration.parameters.__struct_fields__
        given = {name: value for name, value in body.items() if name in known}
        extra = {name: value for name, value in body.items() if name not in known and value is not None}
        more = given.pop("extra_body", None)
        extra |= more if isinstance(more, Mapping) else {}
        return {**given, "extra_body": extra} if extra else given

    return arguments


def _image(body: dict[str, Any]) -> dict[str, Any]:
    prompt, model, n, size, extra = _popped(body, "prompt", "model", "n", "size", "extra_body")
    return image_arguments(prompt, model, n, size, extra, body)


def _speech(body: dict[str, Any]) -> dict[str, Any]:
    text, model, voice, extra = _popped(body, "input", "model", "voice", "extra_body")
    return speech_arguments(text, model, voice, extra, body)


def _transcription(body: dict[str, Any]) -> dict[str, Any]:
    """`file` is a path, a URL or a data URL; vLLM's name for it is `file_url`."""
    url = body.pop("file_url", None)
    file = body.pop("file", url)
    model, granularities, extra = _popped(body, "model", "timestamp_granularities", "extra_body")
    return transcription_arguments(file, model, granularities, extra, body)


def _popped(body: dict[str, Any], *names: str) -> list[Any]:
    return [body.pop(name, None) for name in names]


_URLS: Final[dict[str, tuple[Declaration[..., Any, Any], Form, Callable[[dict[str, Any]], dict[str, Any]]]]] = {
    "/v1/chat/completions": (chat.chat_completion, "openai", _taken(chat.chat_completion)),
    "/v1/embeddings": (embeddings.create_embedding, "openai", _taken(embeddings.create_embedding)),
    "/v1/images/generations": (generation.text_to_image, "images", _image),
    "/v1/audio/speech": (audio.text_to_speech, "task", _speech),
    "/v1/audio/transcriptions": (audio.automatic_speech_recognition, "openai", _transcription),
}


# -- the short form


@cache
def tasks() -> dict[str, Declaration[..., Any, Any]]:
    """Every task, by its name on the Hub and by its method's."""
    found = [row.declaration for _, row in inspect.getmembers_static(Tasks) if isinstance(row, Task)]
    return {task.method: task for task in found} | {task.name: task for task in reversed(found)}


def _task(line: Line, name: str) -> Asked:
    declaration = tasks().get(name)
    if declaration is None:
        raise UnsupportedTaskError(f"no task is called {name[:60]!r}; `headwater tasks` lists them")
    arguments = {**line.parameters, **_inputs(declaration, line.inputs)}
    if line.model is not None:
        arguments["model"] = line.model
    streams = bool(arguments.pop("stream", None))
    form: Form = "openai" if declaration in (chat.chat_completion, embeddings.create_embedding) else "task"
    return Asked(form, arguments, declaration, provider=line.provider, streams=streams)


def _check_names(line: bytes) -> None:
    """Refuse a field that is nearly one of ours: what it says would be left out, and nobody would see it."""
    for name in msgspec.json.decode(line, type=dict[str, msgspec.Raw]):
        if name not in Line.__struct_fields__ and (meant := get_close_matches(name, Line.__struct_fields__, 1, 0.7)):
            raise InvalidParameterError(f"the line has a field {name[:60]!r}; did you mean {meant[0]!r}?")


def _inputs(declaration: Declaration[..., Any, Any], inputs: Any) -> dict[str, Any]:
    """What the task works on: its first parameter, or an object that names several."""
    if inputs is None:
        return {}
    if isinstance(inputs, dict) and inputs and inputs.keys() <= set(declaration.parameters.__struct_fields__):
        return inputs
    if declaration is chat.chat_completion and isinstance(inputs, str):
        inputs = [{"role": "user", "content": inputs}]
    return {declaration.positional[0]: inputs}
