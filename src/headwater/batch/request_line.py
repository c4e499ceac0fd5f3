"""An input line as a call: OpenAI's Batch lines by their URL, and a short form for every task.

    {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": .., "messages": [..]}}
    {"custom_id": "b", "task": "text-to-image", "inputs": "a lighthouse", "parameters": {"width": 512}, "model": ..}

A body's fields that the task does not know go to the server as they are. In the short form the task's parameters may
stand in the line itself, too; every other field is refused, as is one that is given twice with two values: nothing that
a line says is left out. URLs that are no task's of ours (`PASSTHROUGH_PATHS`) are posted to the client's server,
and its answer is kept as it is. All else is refused, with `InvalidParameterError`.

**A line does not choose where it goes**: that is the program's. `model` is a name, never a server's URL; `provider` is
one of the client's own; keys, headers and addresses are not taken from a line. A file that a task works on may be a
path or a URL, which are read as the client's `input_policy` lets them be: with `InputPolicy.untrusted`, no path. Nor
does it choose code: the type that its answer is to be of, `"response_format": "shop:Invoice"`, is one of those that the
program has given under this name, and nothing is imported for it.
https://platform.openai.com/docs/api-reference/batch/request-input
https://docs.vllm.ai/en/latest/examples/offline_inference/openai_batch.html
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ..client.bound_task import Task
from ..client.keys import is_url
from ..client.openai_types import (
    edit_arguments,
    image_arguments,
    speech_arguments,
    transcription_arguments,
    translation_arguments,
)
from ..client.task_table import Tasks
from ..errors import InvalidParameterError, UnsupportedTaskError
from ..tasks import audio, chat, embeddings, image_generation, messages, moderation, passages, responses
from ..tasks.declaration import Declaration
from .input_file import Item
from .lines import as_custom_id, members_of, nearest_name, not_finite

Form = Literal["openai", "images", "base64 images", "posted", "task"]

PASSTHROUGH_PATHS: Final = frozenset(
    {
        "/v1/completions",
        "/v1/score",
        "/v2/rerank",
        "/score",
        "/rerank",
    }
)
"""OpenAI's and vLLM's paths that are no task of ours."""


STREAMED: Final = frozenset({"chat-completion", "messages", "responses", "text-generation"})
"""The tasks that a line may want streamed."""

_ANSWER_TYPES: Final = {
    "chat-completion": "response_format",
    "messages": "output_format",
    "responses": "text_format",
    "text-generation": "grammar",
}
"""What each task calls the type of its answer."""

_PROGRAMS: Final = frozenset(
    {
        "api_key",
        "base_url",
        "bill_to",
        "cookies",
        "extra_headers",
        "extra_query",
        "headers",
        "proxies",
        "timeout",
        "token",
        "transport",
    }
)
"""What a program gives to its client or its call: where it goes, as whom, and for how long."""
_NOT_IN_A_BODY: Final = frozenset({"extra_headers", "extra_query"})
"""Of these, what no server has as a field of a request."""


class RequestLine(msgspec.Struct):
    """A line's members."""

    custom_id: Any = None
    method: str | None = None
    url: str | None = None
    body: dict[str, Any] | None = None
    task: str | None = None
    inputs: Any = None
    parameters: dict[str, Any] | None = None
    model: str | None = None
    provider: str | None = None


class ParsedRequest(NamedTuple):
    """What the record `custom_id` asks for: a task with its arguments, or a path with what is posted there."""

    form: Form
    arguments: dict[str, Any]
    declaration: Declaration[..., Any, Any] | None = None
    path: str = ""
    provider: str | None = None
    streams: bool = False
    custom_id: str = ""
    is_typed: bool = False

    @property
    def model(self) -> str | None:
        """The model that the line names."""
        model = self.arguments.get("model")
        return model if isinstance(model, str) else None


def with_type(request: ParsedRequest, types: Mapping[str, Any], default: Any) -> ParsedRequest:
    """The request with the type that its line names, of these; else with `default`, unless the line has a form of its
    own for the answer, or the task has none. Raises `InvalidParameterError` for a name that is not among them."""
    name = _ANSWER_TYPES.get(request.declaration.name) if request.declaration is not None else None
    if name is None:
        return request
    given = request.arguments.get(name)
    if given is None:
        if default is None:
            return request
        given = default
    elif not isinstance(given, str):
        return request
    elif given not in types:
        known = f"knows {', '.join(map(repr, sorted(types)))}" if types else "was given none"
        raise InvalidParameterError(
            f"the line wants an answer of the type {given[:100]!r}, and the batch {known}; a line imports nothing"
        )
    else:
        given = types[given]
    return request._replace(arguments={**request.arguments, name: given}, is_typed=True)


def custom_id_of(item: Item) -> str:
    """The record's name: its own, else its line's number from 1."""
    return nearest_name(item.line, item.number + 1)


def parse_line(item: Item) -> ParsedRequest:
    """What the line asks for. Raises `InvalidParameterError` where it is not as it must be."""
    members, is_strict = members_of(item.line)
    custom_id = as_custom_id(members.get("custom_id"), item.number + 1)
    try:
        line = msgspec.convert(members, RequestLine)
    except msgspec.ValidationError as error:
        raise InvalidParameterError(f"the line is not as it must be: {error}") from None
    if item.is_repeated:
        raise InvalidParameterError(f"an earlier line has the custom_id {custom_id[:100]!r}, too")
    if line.method is not None and line.method.upper() != "POST":
        raise InvalidParameterError(f"the method is {line.method[:20]!r}; a batch sends POST alone")
    others = {
        name: value
        for name, value in members.items()
        if name not in RequestLine.__struct_fields__ and value is not None
    }
    if line.url is not None:
        request = _openai(line, others)
    elif line.task is not None:
        request = _task(line, line.task, others)
    else:
        raise InvalidParameterError('the line has neither a "url" with a "body" nor a "task"')
    _check_place(request)
    if not is_strict and (where := next(not_finite(request.arguments, ""), None)) is not None:
        raise InvalidParameterError(f"{where} is NaN or infinite, a number that JSON does not have")
    return request._replace(custom_id=custom_id)


def _check_place(request: ParsedRequest) -> None:
    """Refuse a model that is a server's URL: requests, and the key that goes along, go where the program says."""
    extra = request.arguments.get("extra_body")
    for given in (request.arguments, extra if isinstance(extra, Mapping) else {}):
        model = given.get("model")
        if isinstance(model, str) and is_url(model.strip().lower()):
            raise InvalidParameterError(
                "the model of a line is a name, and this is a URL; where a batch goes is not a line's to say"
            )


def chosen(provider: str, own: Mapping[str, Any]) -> Any:
    """The client's provider that a line names. Raises `InvalidParameterError` where it has none of this name."""
    if provider not in own:
        names = " or ".join(map(repr, own)) or "a server's URL"
        raise InvalidParameterError(f"the line wants the provider {provider[:60]!r}, and the batch goes to {names}")
    return own[provider]


# -- OpenAI's form


def _openai(line: RequestLine, others: Mapping[str, Any]) -> ParsedRequest:
    url = line.url or ""
    if line.task is not None:
        raise InvalidParameterError('the line has a "url" and a "task", and only one of them can be meant')
    if line.body is None:
        raise InvalidParameterError(f'a line with the url {url[:100]!r} needs a "body"')
    row = _URLS.get(url)
    if row is None and url not in PASSTHROUGH_PATHS:
        known = ", ".join(sorted({*_URLS, *PASSTHROUGH_PATHS}))
        raise InvalidParameterError(f"the url {url[:100]!r} is none that a batch knows: {known}")
    body = {name: value for name, value in line.body.items() if not (value is None and name in _NOT_IN_A_BODY)}
    _check_beside(line, others, body, row[0].parameters.__struct_fields__ if row else ())
    if line.model is not None:
        body["model"] = line.model
    streams = bool(body.pop("stream", None))
    if row is None:
        return ParsedRequest("posted", body, path=url, provider=line.provider)
    declaration, form, arguments = row
    if form == "images" and body.get("response_format") == "b64_json":
        form = "base64 images"
    return ParsedRequest(form, arguments(body), declaration, provider=line.provider, streams=streams)


def _check_beside(line: RequestLine, others: Mapping[str, Any], body: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse what stands beside the body and belongs into it, or into nothing; a field of the user's own may be there.

    OpenAI's lines have no such fields, and what one says would be left out.
    """
    beside = {**others, **{name: getattr(line, name) for name in ("inputs", "parameters", "model")}}
    for name, value in beside.items():
        if value is None or (name in body and body[name] == value):
            continue
        if name in _PROGRAMS:
            raise _not_a_lines(name)
        if name in body and name in ("model", *known):
            raise _two_values(name)
        if name != "model" and (name in known or name in ("inputs", "parameters", "stream")):
            raise InvalidParameterError(f'the line has {name!r} beside its "body"; it belongs into the body')
        if name != "model" and (meant := get_close_matches(name, ("body", "method", "custom_id", "provider"), 1, 0.8)):
            raise InvalidParameterError(f"the line has a field {name[:60]!r}; did you mean {meant[0]!r}?")
    for name in _NOT_IN_A_BODY & body.keys():
        raise _not_a_lines(name)


def _not_a_lines(name: str) -> InvalidParameterError:
    return InvalidParameterError(f"the line gives {name!r}, which is the program's to say, not a line's")


def _two_values(name: str) -> InvalidParameterError:
    return InvalidParameterError(f"the line gives {name[:60]!r} twice, with two values")


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


def _translation(body: dict[str, Any]) -> dict[str, Any]:
    """The same of a translation."""
    url = body.pop("file_url", None)
    file = body.pop("file", url)
    model, extra = _popped(body, "model", "extra_body")
    return translation_arguments(file, model, extra, body)


def _edited(body: dict[str, Any]) -> dict[str, Any]:
    """`image` and `mask` are paths, URLs or data URLs, `image` a list of them too; one image comes of it."""
    if body.pop("n", None) not in (None, 1):
        raise InvalidParameterError("images.edit: n must be 1; ask once for each image")
    body.pop("response_format", None)
    image, prompt, model, extra = _popped(body, "image", "prompt", "model", "extra_body")
    return edit_arguments(image, prompt, model, extra, body)


def _popped(body: dict[str, Any], *names: str) -> list[Any]:
    return [body.pop(name, None) for name in names]


_URLS: Final[dict[str, tuple[Declaration[..., Any, Any], Form, Callable[[dict[str, Any]], dict[str, Any]]]]] = {
    "/v1/chat/completions": (chat.chat_completion, "openai", _taken(chat.chat_completion)),
    "/v1/messages": (messages.create_message, "openai", _taken(messages.create_message)),
    "/v1/responses": (responses.create_response, "openai", _taken(responses.create_response)),
    "/v1/embeddings": (embeddings.create_embedding, "openai", _taken(embeddings.create_embedding)),
    "/v1/images/generations": (image_generation.text_to_image, "images", _image),
    "/v1/moderations": (moderation.create_moderation, "openai", _taken(moderation.create_moderation)),
    "/v1/rerank": (passages.rerank, "openai", _taken(passages.rerank)),
    "/v1/audio/speech": (audio.text_to_speech, "task", _speech),
    "/v1/audio/transcriptions": (audio.automatic_speech_recognition, "openai", _transcription),
    "/v1/audio/translations": (audio.audio_translation, "openai", _translation),
    "/v1/images/edits": (image_generation.edit_image, "images", _edited),
}


_AS_SENT: Final = (
    chat.chat_completion,
    embeddings.create_embedding,
    moderation.create_moderation,
    responses.create_response,
)
"""The tasks whose result is the server's own answer, in the short form too."""


# -- the short form


@cache
def tasks_by_name() -> dict[str, Declaration[..., Any, Any]]:
    """Every task, by its name on the Hub and by its method's."""
    found = [row.declaration for _, row in inspect.getmembers_static(Tasks) if isinstance(row, Task)]
    return {task.method: task for task in found} | {task.name: task for task in reversed(found)}


def _task(line: RequestLine, name: str, others: Mapping[str, Any]) -> ParsedRequest:
    declaration = tasks_by_name().get(name)
    if declaration is None:
        near = get_close_matches(name.lower(), tasks_by_name(), 1, 0.8)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnsupportedTaskError(f"no task is called {name[:60]!r}{hint} (`headwater tasks` lists them)")
    if line.body is not None:
        raise InvalidParameterError('a line with a "task" has no "body"; its fields are the task\'s parameters')
    known = {*declaration.parameters.__struct_fields__} | ({"stream"} if declaration.name in STREAMED else set())
    for field in others:
        if field not in known or field in _PROGRAMS:
            raise _unknown(field, declaration, known)
    arguments = _together(line.parameters or {}, others, _inputs(declaration, line.inputs), {"model": line.model})
    for field in arguments.keys() & (_PROGRAMS | {"provider"}):
        raise _not_a_lines(field)
    streams = bool(arguments.pop("stream", None)) if "stream" in known else False
    form: Form = "openai" if declaration in _AS_SENT else "task"
    return ParsedRequest(form, arguments, declaration, provider=line.provider, streams=streams)


def _unknown(field: str, declaration: Declaration[..., Any, Any], known: Iterable[str]) -> InvalidParameterError:
    """A field that the short form has not: what it says would be left out, and nobody would see it."""
    if field in _PROGRAMS:
        return _not_a_lines(field)
    near = get_close_matches(field, {*RequestLine.__struct_fields__, *known} - {"url", "body"}, 1, 0.7)
    if near:
        return InvalidParameterError(f"the line has a field {field[:60]!r}; did you mean {near[0]!r}?")
    return InvalidParameterError(
        f"the line has a field {field[:60]!r}, and {declaration.name} has no such parameter;"
        ' what the server alone knows goes into "extra_body"'
    )


def _together(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments that a line gives, wherever in it; the same one twice must be the same."""
    found: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if value is None:
                continue
            if name in found and found[name] != value:
                raise _two_values(name)
            found[name] = value
    return found


def _inputs(declaration: Declaration[..., Any, Any], inputs: Any) -> dict[str, Any]:
    """What the task works on: its first parameter, or an object that names several."""
    if inputs is None:
        return {}
    if isinstance(inputs, dict) and inputs and inputs.keys() <= set(declaration.parameters.__struct_fields__):
        return inputs
    if declaration is chat.chat_completion and isinstance(inputs, str):
        inputs = [{"role": "user", "content": inputs}]
    return {declaration.positional[0]: inputs}
