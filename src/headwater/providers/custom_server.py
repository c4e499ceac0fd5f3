"""A server's own URL: OpenAI's dialect where the URL says so, text-generation-inference's, text-embeddings-inference's
or the pipelines' otherwise.

A bare host may speak either, for the tasks that both know: where the other dialect's route is not there, OpenAI's is
tried. Chats and OpenAI's embeddings have no other dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from ..auth.credentials import BEARER, KeyHeader
from ..errors import ProviderError
from ..protocol.flow import Call, Flow, ResumeFlow, TaskFlow, TaskFlowAtURL
from ..protocol.lazy import lazy_modules, lazy_pattern
from ..schema.rules import LOCAL, NamedSchema
from . import pipeline
from .bodies import ANTHROPIC_KEY
from .openai_chat import ChatDialect, chat
from .urls import (
    CHAT,
    COMPLETIONS,
    EDITS,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    MODERATIONS,
    RERANK,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    beneath,
    has_path,
    names_messages,
    openai_url,
    speaks_openai,
)

if TYPE_CHECKING:
    from ..protocol.events import Job
    from . import (  # noqa: TC004 - loaded when it is used, below
        anthropic_chat,
        anthropic_messages,
        openai_completions,
        openai_embeddings,
        openai_images,
        openai_moderations,
        openai_responses,
        openai_speech,
        openai_transcription,
        rerank,
        response_format,
        tgi,
    )
else:
    globals().update(
        lazy_modules(
            __package__,
            "anthropic_chat anthropic_messages openai_completions openai_embeddings openai_images openai_moderations "
            "openai_responses openai_speech openai_transcription rerank response_format tgi",
        )
    )

UNFINISHED: Final = frozenset({"fp_ollama"})
"""Ollama names itself so in every chunk, and sends `"finish_reason": null` for a reason that it does not know:
https://github.com/ollama/ollama/blob/main/openai/openai.go, https://github.com/pydantic/pydantic-ai/issues/2996"""

_DIALECT: Final = ChatDialect(schema=LOCAL, unfinished=UNFINISHED)
_EITHER_HEADER: Final = msgspec.structs.replace(ANTHROPIC_KEY, is_bearer=True)
_OF_MESSAGES: Final = frozenset({"count-tokens", "messages"})
_NOT_KNOWN: Final = frozenset({400, 422})
_TRANSCRIPTION: Final = "automatic-speech-recognition"
_TEI_RERANK: Final = lazy_pattern(r"(?<!/v\d)/rerank/?\Z")
_NO_SUCH_ROUTE: Final = frozenset({404, 405, 501})


def complete_text(call: Call, url: str) -> Flow[Any]:
    """A completion. A type's schema goes under OpenAI's name, which vLLM and SGLang know, and beside that under
    llama.cpp's, which ignores the other here; SGLang has something else by this name, and refuses it."""
    if isinstance(call.parameters.get("grammar"), NamedSchema):
        twice = msgspec.structs.replace(_DIALECT, response_format=response_format.json_schema_beside)
        try:
            return (yield from openai_completions.complete(call, url, twice))
        except ProviderError as refused:
            if refused.status not in _NOT_KNOWN or "json_schema" not in refused.text:
                raise
    return (yield from openai_completions.complete(call, url, _DIALECT))


def _chat(call: Call, url: str) -> Flow[Any]:
    """A chat in OpenAI's dialect, but where the URL is that of Anthropic's Messages, which it is put into then."""
    given = call.url or call.base
    return anthropic_chat.message_chat(call, given) if names_messages(given) else chat(call, url, _DIALECT)


def _heard(call: Call, url: str, *, grained: bool = True) -> Flow[Any]:
    dialect = openai_transcription.TranscriptionDialect(streams=True, grained=grained)
    return openai_transcription.transcribe(call, url, dialect)


_OPENAI: Final[Mapping[str, tuple[str, TaskFlowAtURL]]] = {
    _TRANSCRIPTION: (TRANSCRIPTIONS, lambda call, url: _heard(call, url)),
    "audio-translation": (TRANSLATIONS, lambda call, url: _heard(call, url, grained=False)),
    "chat-completion": (CHAT, _chat),
    "count-tokens": (MESSAGES, lambda call, url: anthropic_messages.count_message_tokens(call, url)),
    "embeddings": (EMBEDDINGS, lambda call, url: openai_embeddings.create(call, url)),
    "feature-extraction": (EMBEDDINGS, lambda call, url: openai_embeddings.embed(call, url)),
    "edit-image": (EDITS, lambda call, url: openai_images.edit(call, url, openai_images.ImageDialect(sized=True))),
    "image-to-image": (EDITS, lambda call, url: openai_images.edit(call, url, openai_images.ImageDialect(sized=True))),
    "messages": (MESSAGES, lambda call, url: anthropic_messages.create_message(call, url, LOCAL)),
    "moderation": (
        MODERATIONS,
        lambda call, url: openai_moderations.moderate(call, url, openai_moderations.ModerationDialect()),
    ),
    "responses": (RESPONSES, lambda call, url: openai_responses.response_flow(call, url, LOCAL)),
    "text-generation": (COMPLETIONS, complete_text),
    "text-to-image": (
        IMAGES,
        lambda call, url: openai_images.text_to_image(call, url, openai_images.ImageDialect(sized=True)),
    ),
    "text-to-speech": (
        SPEECH,
        lambda call, url: openai_speech.text_to_speech(call, url, openai_speech.SpeechDialect()),
    ),
}
_OTHER: Final[Mapping[str, TaskFlowAtURL]] = {
    "feature-extraction": lambda call, url: openai_embeddings.tei(call, url),
    "text-generation": lambda call, url: tgi.generate(call, url),
    **pipeline.AT_URL,
}


def _in_openai(call: Call, route: str, flow: TaskFlowAtURL) -> Flow[Any]:
    """The task in OpenAI's dialect, at its route of the server."""
    return flow(call, openai_url(call.url or call.base, route))


def _in_other(call: Call, flow: TaskFlowAtURL) -> Flow[Any]:
    """The task in the other dialect, at the URL as it is."""
    return flow(call, call.url or call.base)


def _in_either(call: Call, openai: TaskFlow, other: TaskFlow) -> Flow[Any]:
    """The task in the dialect that the server speaks."""
    url = call.url or call.base
    wants_text = (
        call.task == _TRANSCRIPTION and call.extra.get("response_format") in openai_transcription.TEXT_FORMATS
    )  # no pipeline gives that
    if speaks_openai(url) or (wants_text and not has_path(url)):
        return (yield from openai(call))
    try:
        return (yield from other(call))
    except ProviderError as refused:
        if refused.status not in _NO_SUCH_ROUTE or has_path(url):
            raise
    return (yield from openai(call))


def _flow_of(task: str) -> TaskFlow:
    if task not in _OPENAI:
        return partial(_in_other, flow=_OTHER[task])
    route, flow = _OPENAI[task]
    openai = partial(_in_openai, route=route, flow=flow)
    if task not in _OTHER:
        return openai
    return partial(_in_either, openai=openai, other=partial(_in_other, flow=_OTHER[task]))


def _rerank(call: Call) -> Flow[Any]:
    """Documents in order: in the form of Cohere's and its like at `/v1/rerank`; where that is not there, or the URL
    itself ends so (`/rerank`, without a version), in text-embeddings-inference's."""
    url = call.url or call.base
    if _TEI_RERANK.search(urlsplit(url).path):
        return (yield from rerank.rerank(call, url, rerank.TEI_RANKS))
    try:
        return (yield from rerank.rerank(call, openai_url(url, RERANK)))
    except ProviderError as refused:
        if refused.status not in _NO_SUCH_ROUTE or speaks_openai(url):
            raise
    return (yield from rerank.rerank(call, beneath(url, RERANK), rerank.TEI_RANKS))


def key_header_at(url: str, task: str) -> KeyHeader:
    """How the key for a server's own URL is sent: for Anthropic's Messages as Anthropic has it, and as a Bearer beside
    unless it is Anthropic, for some servers that speak them read the one and some the other."""
    if task not in _OF_MESSAGES and not names_messages(url):
        return BEARER
    host = urlsplit(url).hostname or ""
    return ANTHROPIC_KEY if f".{host}".endswith(".anthropic.com") else _EITHER_HEADER


TASKS: Final[Mapping[str, TaskFlow]] = {
    **{task: _flow_of(task) for task in sorted({*_OPENAI, *_OTHER})},
    "rerank": _rerank,
}
"""The flow of each task at a server's own URL."""


def _resumed_response(call: Call, job: Job) -> Flow[Any]:
    return openai_responses.resumed_response(call, openai_url(call.url or call.base, RESPONSES), job)


RESUME: Final[Mapping[str, ResumeFlow]] = {"responses": _resumed_response}
