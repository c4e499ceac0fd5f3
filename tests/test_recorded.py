"""Every recorded exchange with a real server is played: its request is recognised, its answer goes through our flow.

The recordings are no part of this project: HEADWATER_RECORDED names the folder that holds them. Nothing is sent; a
flow is driven by hand, and given the recorded answer where it asks for it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy
import pytest
from PIL import Image
from support.recordings.exchange import CHAT, TEXT, VECTORS, Exchange, Left, Recognised, exchanges
from support.recordings.replay import run
from support.recordings.routes import lost, recognise, tasks_of_models

from headwater import errors
from headwater.client import hub
from headwater.client.hub import ModelStatus
from headwater.errors import ContentRefusedError, HeadwaterError, IncompleteStreamError, JobFailedError, ProviderError
from headwater.media.media import Media
from headwater.protocol.flow import Reply
from headwater.protocol.framing import SSEFraming
from headwater.providers import model_ids as mapping
from headwater.tasks import audio, language, multimodal, passages, tabular, vision, zero_shot
from headwater.tasks.chat_types import ChatCompletionOutput
from headwater.tasks.text import TextGenerationOutput

FOLDER = os.environ.get("HEADWATER_RECORDED")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="HEADWATER_RECORDED names no folder of recorded exchanges")

LISTS: dict[str, type[Any]] = {
    "audio-classification": audio.AudioClassificationOutputElement,
    "audio-to-audio": audio.AudioToAudioOutputElement,
    "document-question-answering": multimodal.DocumentQuestionAnsweringOutputElement,
    "fill-mask": language.FillMaskOutputElement,
    "image-classification": vision.ImageClassificationOutputElement,
    "image-segmentation": vision.ImageSegmentationOutputElement,
    "object-detection": vision.ObjectDetectionOutputElement,
    "text-classification": language.TextClassificationOutputElement,
    "token-classification": language.TokenClassificationOutputElement,
    "visual-question-answering": multimodal.VisualQuestionAnsweringOutputElement,
    "zero-shot-classification": zero_shot.ZeroShotClassificationOutputElement,
    "zero-shot-image-classification": vision.ZeroShotImageClassificationOutputElement,
}
ONES: dict[str, Any] = {
    CHAT: ChatCompletionOutput,
    TEXT: (str, TextGenerationOutput),
    "automatic-speech-recognition": audio.AutomaticSpeechRecognitionOutput,
    "image-to-image": Image.Image,
    "image-to-text": vision.ImageToTextOutput,
    "question-answering": passages.QuestionAnsweringOutputElement,
    "summarization": language.SummarizationOutput,
    "table-question-answering": tabular.TableQuestionAnsweringOutputElement,
    "text-to-image": Image.Image,
    "text-to-speech": Media,
    "text-to-video": Media,
    "translation": language.TranslationOutput,
}
BY_STATUS: dict[int, type[ProviderError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    402: errors.PaymentRequiredError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    421: errors.ProviderError,
    422: errors.InvalidRequestError,
    429: errors.RateLimitError,
    500: errors.ServerError,
    503: errors.ServerError,
}


@cache
def everything() -> list[tuple[Exchange, Recognised | Left]]:
    """Every exchange, and what it is, or why it cannot be played."""
    found = list(exchanges(Path(FOLDER or "")))
    tasks = tasks_of_models(found)
    return [(each, lost(each) or recognise(each, tasks)) for each in found]


def played() -> Iterator[tuple[Exchange, Recognised]]:
    for exchange, what in everything():
        if isinstance(what, Recognised):
            yield exchange, what


# What must come of it


def test_every_exchange_is_played_or_said_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = Counter(what.reason for _, what in everything() if isinstance(what, Left))
    tasks = Counter(what.task for _, what in played())
    lookups = sum(tasks[name] for name in ("card", "mapping"))
    count = sum(tasks.values())
    with capsys.disabled():
        print(f"\n{count} of {len(everything())} recorded exchanges play, {lookups} of them look-ups at the Hub")
        for reason, number in reasons.most_common():
            print(f"  {number} do not: {reason}")
    assert count + sum(reasons.values()) == len(everything())
    assert count > 4 * sum(reasons.values())
    unsaid = sum(number for reason, number in reasons.items() if "not said" in reason or "neither" in reason)
    assert unsaid <= len(everything()) // 20


def test_every_request_is_one_of_ours() -> None:
    """Our flow asks at the same URL, but for those that have moved since."""
    wrong = []
    for exchange, what in played():
        player, _ = run(exchange, what)
        if player.request is None:
            wrong.append((exchange.id, "the flow never asked", exchange.url))
        elif what.place != "hub" and what.step == "ask" and not what.task.startswith("download"):
            ours, theirs = player.request.url.partition("?")[0], (what.base + what.route).partition("?")[0]
            if ours != theirs and not any(moved(ours, theirs) for moved in MOVED.values()):
                wrong.append((exchange.id, ours, theirs))
    assert wrong == []


def _with(old: str, new: str) -> Callable[[str, str], bool]:
    return lambda ours, theirs: re.sub(old, new, theirs) == ours


_HF = "https://router.huggingface.co/hf-inference"
MOVED: dict[str, Callable[[str, str], bool]] = {
    "the task stands behind the model": _with(rf"{_HF}/pipeline/([a-z-]+)/(.+)", rf"{_HF}/models/\2/pipeline/\1"),
    "the model's own task needs no name": _with(rf"{_HF}/pipeline/[a-z-]+/(.+)", rf"{_HF}/models/\1"),
    "the task is named, as models have several": lambda ours, theirs: re.sub(r"/pipeline/[a-z-]+$", "", ours) == theirs,
    "chats have a route of their own": lambda ours, theirs: ours == f"{theirs}/v1/chat/completions",
    "Fireworks' route is under /inference": _with(r"/fireworks-ai/v1", "/fireworks-ai/inference/v1"),
    "Novita's route is under /v3/openai": _with(r"/novita/chat", "/novita/v3/openai/chat"),
    "Novita's videos are asynchronous": _with(r"/v3/hf/", "/v3/async/"),
    "Black Forest Labs' route is under /v1": _with(r"(\.co/black-forest-labs)/", r"\1/v1/"),
    "fal's jobs go through its queue": lambda ours, theirs: ours.startswith(
        "/".join(theirs.replace("https://fal.run", "https://queue.fal.run").split("/")[:5])
    ),
    "the address lacked its path": lambda ours, theirs: ours == f"{theirs.rstrip('/')}/v1/chat/completions",
}


def test_every_success_is_read() -> None:
    """To the right type, and saying what the server said."""
    wrong = []
    for exchange, what in played():
        if exchange.reply.status >= 300 or _said_within(exchange) or _torn(exchange):
            continue
        _, result = run(exchange, what)
        if isinstance(result, JobFailedError | ContentRefusedError) and _FAILED.search(exchange.reply.body):
            continue
        if not _is_right(what, result):
            wrong.append((exchange.id, what.task, what.provider, repr(result)[:200]))
        elif what.provider == "hf-inference" and what.task in LISTS | ONES and not _is_told(exchange, what, result):
            wrong.append((exchange.id, what.task, "says something else", repr(result)[:200]))
    assert wrong == []


_FAILED = re.compile(rb"fail|error|cancel|abort|moderated", re.IGNORECASE)
"""Words of a job that ended without a result."""


def _said_within(exchange: Exchange) -> bool:
    """Whether a success says inside that it is none."""
    return b'"error":"' in exchange.reply.body[:200] and b"data:" in exchange.reply.body[:10]


def _torn(exchange: Exchange) -> bool:
    """Whether a stream breaks off within an event."""
    framing = SSEFraming()
    framing.feed(exchange.reply.body)
    framing.finish()
    return exchange.reply.content_type == "text/event-stream" and bool(framing.pending)


def _is_right(what: Recognised, result: Any) -> bool:
    kind = LISTS.get(what.task)
    if kind is not None:
        return isinstance(result, list) and bool(result) and all(type(item) is kind for item in result)
    if what.task in {"sentence-similarity", "tabular-classification"}:
        return isinstance(result, list) and bool(result)
    if what.task == VECTORS:
        arrays = result if isinstance(result, list) else [result]
        return all(isinstance(array, numpy.ndarray) and array.size > 0 for array in arrays)
    if what.task == "card":
        return isinstance(result, hub.ModelStatus)
    if what.task == "mapping":
        return isinstance(result, tuple) and all(type(entry) is mapping.Entry for entry in result)
    return isinstance(result, ONES.get(what.task, Media))


def _is_told(exchange: Exchange, what: Recognised, result: Any) -> bool:
    """Whether the texts of the result are those of the answer."""
    if what.streamed or isinstance(result, Media | Image.Image) or exchange.said is None:
        return True
    texts = {text for text in _texts(exchange.said) if text}
    ours = {
        text for item in (result if isinstance(result, list) else [result]) for text in _texts(_plain(item)) if text
    }
    return ours <= texts | {"0"}  # an old tool call's id, which was a number


def _plain(item: Any) -> Any:
    if not hasattr(item, "items"):
        return item
    fields = {name: value for name, value in item.items() if name not in {"mask", "blob"}}
    return msgspec.to_builtins(fields)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def test_every_stream_is_whole() -> None:
    """A stream folds to what its events say, and to nothing else."""
    seen, wrong = 0, []
    for exchange, what in played():
        if exchange.reply.content_type != "text/event-stream" or _said_within(exchange) or _torn(exchange):
            continue
        seen += 1
        player, result = run(exchange, what)
        if isinstance(result, HeadwaterError) or _text_of(result) != _text_in(player.events):
            wrong.append((exchange.id, what.task, repr(result)[:200]))
    assert wrong == []
    assert seen


def _text_of(result: Any) -> str | None:
    if isinstance(result, ChatCompletionOutput):
        return result.choices[0].message.content or "" if result.choices else ""
    return result if isinstance(result, str) else result.generated_text


def _text_in(events: list[Any]) -> str:
    deltas = [choice.delta.content or "" for each in events for choice in getattr(each, "choices", None) or []]
    written = [each.generated_text for each in events if getattr(each, "generated_text", None) is not None]
    return "".join(deltas or written)


def test_every_refusal_is_the_right_error() -> None:
    """Of the class that its status has, with the server's own words."""
    seen, wrong = 0, []
    for exchange, what in played():
        reply = exchange.reply
        if reply.status < 400 or what.place == "hub":
            continue
        seen += 1
        _, error = run(exchange, what)
        kinds = (BY_STATUS.get(reply.status, ProviderError), errors.TextGenerationError)
        if not isinstance(error, kinds) or error.status != reply.status or not _speaks(error, reply):
            wrong.append((exchange.id, what.provider, reply.status, repr(error)[:200]))
    assert wrong == []
    assert seen


def _speaks(error: ProviderError, reply: Reply) -> bool:
    said = error.server_message
    if not reply.body:
        return said is None
    words = re.findall(r"[A-Za-z]{2,}", said or "")
    return bool(words) and said is not None and said[:1] != "{" and all(word in reply.body.decode() for word in words)


def test_an_error_inside_a_success_is_one() -> None:
    for exchange, what in played():
        if exchange.reply.status < 300 and _said_within(exchange):
            _, error = run(exchange, what)
            assert isinstance(error, ProviderError)
            assert (error.server_message or "no words") in exchange.reply.body.decode()


def test_a_torn_stream_is_no_answer() -> None:
    for exchange, what in played():
        if exchange.reply.status < 300 and _torn(exchange):
            _, error = run(exchange, what)
            assert isinstance(error, IncompleteStreamError)


def test_a_renamed_model_is_found() -> None:
    for exchange, what in played():
        if 300 <= exchange.reply.status < 400:
            _, result = run(exchange, what)
            assert result == () if what.task == "mapping" else isinstance(result, ModelStatus)
