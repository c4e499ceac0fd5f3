"""Any member of any answer may be anything: where the result does not need it, nothing but that member changes.

For every task and dialect a valid answer, whole or streamed, of which one member at a time is replaced by any JSON,
NaN and the infinities among it.
"""

from __future__ import annotations

import base64
import copy
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.flow_player import call, play, reply
from support.job_cases import JOBS
from support.media_cases import CDN, FLAC, HEAR, IMAGE, JPEG, MP4, PNG, SOUND
from support.message_events import CITATION, message
from support.response_events import MESSAGE as SAID
from support.response_events import RESPONSE

from headwater.client.bound_task import Task
from headwater.client.task_table import Tasks
from headwater.media.media import Media
from headwater.protocol.flow import Call
from headwater.providers import flow_for, provider
from headwater.providers.pipeline_results import DECODERS

B64, B64_SOUND = base64.b64encode(PNG).decode(), base64.b64encode(FLAC).decode()


class Example(msgspec.Struct, kw_only=True):
    """What a server sends, in order, and how it is read.

    `needed`: the members that the result depends on, as paths of names. `same`: what a member is called in the result,
    and what else there is made of it.
    """

    name: str
    sent: list[Any]
    read: Callable[[list[Any]], Any]
    needed: set[str]
    same: dict[str, set[str]] = {}

    def __str__(self) -> str:
        return self.name


def plain(value: Any) -> Any:
    """The result as plain data; of an image its size."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.size if hasattr(value, "getpixel") else value


@functools.cache
def as_sent(name: str) -> Any:
    """What comes of the example as it is."""
    example = next(example for example in EXAMPLES if example.name == name)
    return plain(example.read(example.sent))


def without(value: Any, names: set[str]) -> Any:
    """Plain data without these members, however deep."""
    if isinstance(value, dict):
        return {name: without(item, names) for name, item in value.items() if name not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def members(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every member of every object in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(value, dict):
            yield (*path, key)
        yield from members(item, (*path, key))


def named(path: tuple[Any, ...]) -> str:
    return ".".join(key for key in path if isinstance(key, str))


def replaced(sent: list[Any], path: tuple[Any, ...], value: Any) -> list[Any]:
    changed: list[Any] = json.loads(json.dumps(sent))  # what is shared in it is no more
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


# How each is read

GIVEN: dict[str, dict[str, Any]] = {
    "audio-to-audio": {"audio": FLAC},
    "image-segmentation": {"image": JPEG},
    "image-to-text": {"image": JPEG},
    "text-to-audio": {"text": "rain"},
    "text-to-speech": {"text": "hi"},
}


def whole(ask: Call, *loads: Any) -> Callable[[list[Any]], Any]:
    return lambda sent: play(flow_for(ask.provider, ask.task)(copy.copy(ask)), *loads, reply(sent[0])).result


def streamed(ask: Call, *loads: Any) -> Callable[[list[Any]], Any]:
    def read(sent: list[Any]) -> Any:
        lines = "".join(f"data: {json.dumps(event)}\n\n" for event in [*sent, "DONE"]).replace('"DONE"', "[DONE]")
        answer = reply(lines.encode(), content_type="text/event-stream")
        return play(flow_for(ask.provider, ask.task)(copy.copy(ask)), *loads, answer).result

    return read


def heard(name: str, model: str = "m", *, stream: bool = False) -> Callable[[list[Any]], Any]:
    def read(sent: list[Any]) -> Any:
        base = provider(name).base
        ask = call(HEAR, name, base=base, model=model, stream=stream, parameters={"audio": FLAC})
        lines = "".join(f"data: {json.dumps(event)}\n\n" for event in sent)
        answer = reply(lines.encode(), content_type="text/event-stream") if stream else reply(sent[0])
        return play(flow_for(name, HEAR)(ask), SOUND, answer).result

    return read


def piped(task: str) -> Callable[[list[Any]], Any]:
    return lambda sent: DECODERS[task](reply(sent[0]))


def job(name: str, task: str, media: Media | None, model: str = "org/m") -> Callable[[list[Any]], Any]:
    usual: dict[str, Any] = {"prompt": "a cat"} | ({"image": JPEG} if task.startswith("image") else {})
    parameters = GIVEN.get(task, usual)

    def read(sent: list[Any]) -> Any:
        ask = call(task, name, base=provider(name).base, model=model, hub_id=model, parameters=dict(parameters))
        loads = [IMAGE] if "image" in parameters else [SOUND] if "audio" in parameters else []
        return play(flow_for(name, task)(ask), *loads, *map(reply, sent), *([media] if media else [])).result

    return read


# The answers

TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97]}
LOGPROBS = {"content": [{**TOKEN, "top_logprobs": [{**TOKEN}]}], "refusal": None}
USAGE = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
FRAME = {
    "id": "x",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "system_fingerprint": "fp",
    "service_tier": "default",
    "timings": {"prompt_ms": 1.5},
}
TOOL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
MESSAGE = {
    "role": "assistant",
    "content": "Hi",
    "refusal": None,
    "reasoning_content": "hm",
    "tool_calls": [TOOL],
    "name": "n",
    "tool_call_id": None,
}
CHAT_SAME = {"reasoning_content": {"reasoning"}, "reasoning": {"reasoning_content"}}
CHATS = [
    Example(
        name="chat",
        sent=[
            {
                **FRAME,
                "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop", "logprobs": LOGPROBS}],
                "usage": USAGE,
            }
        ],
        read=whole(call("chat-completion", model="m")),
        needed={"choices", "choices.message", "choices.message.content"},
        same=CHAT_SAME,
    ),
    Example(
        name="chat-stream",
        sent=[
            {**FRAME, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
            {**FRAME, "choices": [{"index": 0, "delta": {"reasoning_content": "hm", "refusal": None}}], "usage": None},
            {**FRAME, "choices": [{"index": 0, "delta": {"content": "H"}, "logprobs": LOGPROBS}]},
            {**FRAME, "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **TOOL}]}}]},
            {**FRAME, "choices": [{"index": 0, "delta": {"content": "i", "role": None}, "finish_reason": "stop"}]},
            {**FRAME, "choices": [], "usage": USAGE},
        ],
        read=streamed(call("chat-completion", model="m", stream=True)),
        needed={"choices", "choices.delta", "choices.delta.content", "choices.index", "choices.delta.tool_calls.index"},
        same=CHAT_SAME,
    ),
]

GENERATE: dict[str, Any] = {
    "base": "http://127.0.0.1:9",
    "url": "http://127.0.0.1:9/generate",
    "parameters": {"details": True},
}
COMPLETE: dict[str, Any] = {"model": "m", "parameters": {"details": True}}
PIECE = {"id": 1, "text": "a", "logprob": -0.5, "special": False}
SPENT = {"usage": {"generated_tokens"}, "completion_tokens": {"generated_tokens"}}
TEXTS = [
    Example(
        name="text-generation",
        sent=[
            {
                "generated_text": "Hi",
                "details": {
                    "finish_reason": "length",
                    "generated_tokens": 2,
                    "seed": 1,
                    "prefill": [{"id": 1, "text": "x", "logprob": None}],
                    "tokens": [PIECE],
                    "top_tokens": [[PIECE]],
                    "best_of_sequences": [{"generated_text": "Ho", "finish_reason": "length", "tokens": [PIECE]}],
                },
            }
        ],
        read=whole(call("text-generation", "url", **GENERATE)),
        needed={"generated_text", "details.best_of_sequences.generated_text"},
    ),
    Example(
        name="text-generation-stream",
        sent=[
            {"index": 1, "token": PIECE, "generated_text": None, "details": None, "top_tokens": [PIECE]},
            {
                "index": 2,
                "token": PIECE,
                "generated_text": "aa",
                "details": {"finish_reason": "length", "generated_tokens": 2, "input_length": 1, "seed": 7},
            },
        ],
        read=streamed(call("text-generation", "url", stream=True, **GENERATE)),
        needed={"token", "token.text"},
    ),
    Example(
        name="completion",
        sent=[{**FRAME, "choices": [{"index": 0, "text": "a", "finish_reason": "stop", "seed": 1}], "usage": USAGE}],
        read=whole(call("text-generation", **COMPLETE)),
        needed={"choices", "choices.text"},
        same=SPENT,
    ),
    Example(
        name="completion-stream",
        sent=[
            {**FRAME, "choices": [{"index": 0, "text": "a", "finish_reason": None, "logprobs": LOGPROBS}]},
            {**FRAME, "choices": [{"index": 0, "text": "b", "finish_reason": "stop", "seed": 1}]},
            {**FRAME, "choices": [], "usage": USAGE},
        ],
        read=streamed(call("text-generation", stream=True, **COMPLETE)),
        needed={"choices", "choices.text"},
        same={**SPENT, "finish_reason": {"seed"}},  # an event has its details with its reason
    ),
]

VECTORS = {**FRAME, "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}], "usage": USAGE}
TIMES = {"start": {"timestamp"}, "end": {"timestamp"}, "segments": {"chunks"}, "words": {"chunks"}}
SEGMENT = {"id": 0, "text": "Hi", "start": 0.0, "end": 1.5, "tokens": [1]}
WORD = {"word": "Hi", "start": 0.0, "end": 1.5}
DONE = {"type": "transcript.text.done", "text": "Hi there", "usage": {"type": "tokens", "total_tokens": 3}}
HEARINGS = [
    Example(
        name="transcription",
        sent=[{"task": "transcribe", "text": "Hi", "duration": 1.5, "segments": [SEGMENT], "words": [WORD]}],
        read=heard("openai"),
        needed={"text"},
        same=TIMES,
    ),
    Example(
        name="transcription-stream",
        sent=[{"type": "transcript.text.delta", "delta": "Hi", "logprobs": [TOKEN]}, {"type": "ping", "seq": 1}, DONE],
        read=heard("openai", stream=True),
        needed={"type", "delta", "text"},
    ),
    Example(
        name="transcription-fal",
        sent=[{"text": "Hi", "chunks": [{"text": "Hi", "timestamp": [0.0, 1.5], "speaker": None}], "languages": []}],
        read=heard("fal-ai", "fal-ai/whisper"),
        needed={"text"},
    ),
    Example(
        name="transcription-replicate",
        sent=[
            {
                "id": "j",
                "status": "succeeded",
                "logs": "",
                "urls": {},
                "output": {"text": "Hi", "segments": [SEGMENT], "detected_language": "en"},
            }
        ],
        read=heard("replicate", "org/m"),
        needed={"id", "status", "output", "output.text"},
        same=TIMES,
    ),
]

OTHERS = [
    *(
        Example(name=task, sent=[VECTORS], read=whole(call(task, model="m")), needed={"data", "data.embedding"})
        for task in ("embeddings", "feature-extraction")
    ),
    Example(
        name="drawn",
        sent=[{"created": 1, "data": [{"b64_json": B64, "revised_prompt": "x", "index": 0}], "usage": USAGE}],
        read=whole(call("text-to-image", model="m", parameters={"prompt": "a cat"})),
        needed={"data", "data.b64_json"},
    ),
]

BOX = {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}
LABELLED = [{"label": "a", "score": 0.9, "index": 7}, {"label": "b", "score": 0.1}]
ANSWER = {"answer": "b", "score": 0.5, "start": 2, "end": 3}
FOUND = [{"label": "a", "score": 0.5, "box": BOX}]
PIPELINES: dict[str, tuple[Any, set[str]]] = {
    "audio-classification": (LABELLED, {"label"}),
    "audio-to-audio": ([{"label": "a", "content-type": "audio/flac", "blob": B64_SOUND}], {"blob"}),
    "automatic-speech-recognition": ({"text": "Hi", "chunks": [{"text": "Hi", "timestamp": [0, 1.5]}]}, {"text"}),
    "depth-estimation": ({"depth": B64, "predicted_depth": [[1.5]]}, {"depth"}),
    "document-question-answering": ([ANSWER], {"answer"}),
    "fill-mask": ([{"sequence": "a b", "score": 0.5, "token": 7, "token_str": "b"}], set()),
    "image-classification": (LABELLED, {"label"}),
    "image-segmentation": ([{"label": "a", "mask": B64, "score": None}], {"mask"}),
    "image-to-text": ([{"generated_text": "a cat", "score": 1}], {"generated_text"}),
    "object-detection": (FOUND, {"label"}),
    "question-answering": (ANSWER, {"answer"}),
    "summarization": ([{"summary_text": "x", "score": 1}], {"summary_text"}),
    "table-question-answering": (
        {"answer": "3", "coordinates": [[0, 1]], "cells": ["3"], "aggregator": "SUM"},
        {"answer"},
    ),
    "text-classification": ([LABELLED], {"label"}),
    "text-to-audio": ([{"audio": B64_SOUND, "sampling_rate": 16000}], {"audio"}),
    "text-to-speech": ({"audio": B64_SOUND, "sampling_rate": 16000}, {"audio"}),
    "token-classification": ([[{"entity_group": "PER", "score": 0.9, "word": "Al", "start": 0, "end": 2}]], set()),
    "translation": ([{"translation_text": "x", "score": 1}], {"translation_text"}),
    "video-classification": (LABELLED, {"label"}),
    "visual-question-answering": ([{"answer": "b", "score": 0.5}], set()),
    "zero-shot-classification": ({"sequence": "x", "labels": ["a", "b"], "scores": [0.9, 0.1]}, {"labels", "scores"}),
    "zero-shot-image-classification": (LABELLED, {"label"}),
    "zero-shot-object-detection": (FOUND, {"label"}),
}
PIPED = [
    Example(name=task, sent=[sent], read=piped(task), needed=needed, same={"content-type": {"content_type"}})
    for task, (sent, needed) in PIPELINES.items()
]

JOB_STATES = {
    "id",
    "task_id",
    "status",
    "task_status",
    "task",
    "task.status",
    "data",
    "data.id",
    "data.status",
    "error",
    "data.error",
    "result",
    "result.sample",
    "outputs",
    "outputs.video_url",
    "data.outputs",
    "videos",
    "videos.video_url",
    "image_result",
    "image_result.url",
    "polling_url",
}
VENDORS = [
    *(
        Example(
            name=f"{case.provider}-{case.task}",
            sent=[case.submitted, *(state for state, _ in case.states), case.done],
            read=job(
                case.provider,
                case.task,
                Media(MP4, "video/mp4") if case.task.endswith("video") else Media(PNG, "image/png"),
            ),
            needed=JOB_STATES,
        )
        for case in JOBS
    ),
    Example(
        name="fal",
        sent=[
            {"request_id": "j", "response_url": "https://queue.fal.run/m/requests/j", "queue_position": 0},
            {"status": "IN_QUEUE", "queue_position": 1, "logs": None},
            {"status": "IN_PROGRESS", "logs": [{"message": "m", "level": "INFO"}]},
            {"status": "COMPLETED", "logs": [], "metrics": {"inference_time": 1.5}},
            {"images": [{"url": CDN, "width": 4}], "has_nsfw_concepts": [False], "seed": 1, "timings": {}},
        ],
        read=job("fal-ai", "text-to-image", Media(PNG, "image/png")),
        needed={"request_id", "status", "images", "images.url", "has_nsfw_concepts"},
    ),
    Example(
        name="replicate",
        sent=[
            {"id": "j", "status": "starting", "output": None, "urls": {"get": "https://x/y"}, "logs": ""},
            {"id": "j", "status": "processing", "output": None, "logs": "50%\n", "metrics": {}},
            {"id": "j", "status": "succeeded", "output": [CDN], "logs": "50%\n100%\n", "input": {"prompt": "a"}},
        ],
        read=job("replicate", "text-to-image", Media(PNG, "image/png")),
        needed={"id", "status", "output"},
    ),
]

STORED = {"url": CDN, "content_type": "x/y", "file_name": "f", "file_size": 4}
SOUND_FILE, FILM, PICTURE = Media(FLAC, "audio/flac"), Media(MP4, "video/mp4"), Media(PNG, "image/png")
FAL: dict[str, tuple[dict[str, Any], Media, set[str]]] = {
    "audio-to-audio": ({"audio": STORED, "text": "hello", "seed": 1}, SOUND_FILE, {"audio", "audio.url", "text"}),
    "image-segmentation": ({"image": STORED, "seed": 1}, PICTURE, {"image", "image.url"}),
    "image-to-image": ({"image": STORED, "prompt": "p"}, PICTURE, {"image", "image.url"}),
    "image-to-video": ({"video": STORED, "seed": 1}, FILM, {"video", "video.url"}),
    "text-to-audio": ({"audio_file": STORED, "seed": 1}, SOUND_FILE, {"audio_file", "audio_file.url"}),
    "text-to-video": ({"video": STORED, "timings": {"inference": 1.5}}, FILM, {"video", "video.url"}),
}
REPLICATE = {"image-to-image": PICTURE, "text-to-speech": SOUND_FILE, "text-to-video": FILM}
LAYOUT = {"md_results": "# Hi", "id": "x", "layout_details": [[{"bbox": [0.5]}]], "usage": USAGE}
FURTHER = [
    *(
        Example(
            name=f"fal-{task}",
            sent=[{"request_id": "j", "status": "IN_QUEUE"}, {"status": "COMPLETED", "metrics": {}}, done],
            read=job("fal-ai", task, media),
            needed={"request_id", "status", *needed},
        )
        for task, (done, media, needed) in FAL.items()
    ),
    Example(
        name="fal-text-to-speech",
        sent=[{"audio": STORED, "duration_ms": 5}],
        read=job("fal-ai", "text-to-speech", SOUND_FILE, "fal-ai/kokoro"),
        needed={"audio", "audio.url"},
    ),
    *(
        Example(
            name=f"replicate-{task}",
            sent=[{"id": "j", "status": "succeeded", "output": [CDN], "logs": "", "metrics": {"t": 1.5}, "urls": {}}],
            read=job("replicate", task, media),
            needed={"id", "status", "output"},
        )
        for task, media in REPLICATE.items()
    ),
    Example(
        name="together-image-to-image",
        sent=[{"id": "x", "data": [{"index": 0, "b64_json": B64, "timings": {"inference": 1.5}}], "object": "list"}],
        read=job("together", "image-to-image", None),
        needed={"data", "data.b64_json"},
    ),
    Example(name="zai-image-to-text", sent=[LAYOUT], read=job("zai-org", "image-to-text", None), needed={"md_results"}),
]

THOUGHT = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "status": None}
CALLED = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}
SPENT_ON = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "input_tokens_details": {"cached_tokens": 1}}
NOTE = {"type": "url_citation", "url": "https://a.example"}
QUOTED = {**SAID, "content": [{"type": "output_text", "text": "Hi", "annotations": [NOTE], "logprobs": [TOKEN]}]}
AT_MESSAGE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSES = [
    {**RESPONSE, "status": "completed", "output": [THOUGHT, QUOTED, CALLED], "usage": SPENT_ON, "metadata": {"a": "b"}},
    {"type": "response.created", "sequence_number": 0, "response": RESPONSE},
    {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": {**SAID, "content": []}},
    {"type": "response.output_text.delta", "sequence_number": 2, **AT_MESSAGE, "delta": "Hel", "logprobs": [TOKEN]},
    {"type": "response.output_text.done", "sequence_number": 3, **AT_MESSAGE, "text": "Hello"},
    {"type": "response.output_item.done", "sequence_number": 4, "output_index": 0, "item": SAID},
    {"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": 1, "delta": "{}"},
    {
        "type": "response.completed",
        "response": {**RESPONSE, "status": "completed", "output": [SAID, CALLED], "usage": SPENT_ON},
    },
]
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
WROTE = message(
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "text", "text": "Hi", "citations": [CITATION]},
    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
)
WRITES = [
    {"type": "message_start", "message": {**WROTE, "content": [], "stop_reason": None}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": CITATION}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": WROTE["usage"]},
    {"type": "message_stop"},
]
COUNTED = {"prompt_tokens", "completion_tokens", "total_tokens", "usage", "prompt_tokens_details"}
AS_CHAT: dict[str, set[str]] = {
    **dict.fromkeys(["input_tokens", "output_tokens"], COUNTED),
    **dict.fromkeys(["cache_creation_input_tokens", "cache_read_input_tokens"], COUNTED),
    "thinking": {"reasoning", "content_blocks"},
    "signature": {"content_blocks"},
    "citations": {"content_blocks"},
    "citation": {"citations", "content_blocks"},
    "input": {"arguments", "content_blocks"},
    "a": {"arguments", "content_blocks"},
    "stop_reason": {"finish_reason"},
    **{name: {"content_blocks"} for name in CITATION},
}
IN_MESSAGES = {"type", "delta", "index", "message", "content_block", "content_block.type", "delta.type"}
IN_MESSAGES |= {"content", "content.type"}
IN_TEXT = {"content.text", "content.thinking", "delta.text", "delta.thinking", "content_block.text", "message.content"}
FLAGS = {
    "flagged": True,
    "categories": {"hate": False, "self-harm": None},
    "category_scores": {"hate": 0.1},
    "category_applied_input_types": {"hate": ["text"], "self-harm": ["text", "image"]},
}
RANKS: dict[str, Any] = {
    "cohere": {
        "id": "x",
        "results": [{"index": 2, "relevance_score": 0.9}],
        "meta": {"billed_units": {"search_units": 1}},
    },
    "vllm": {
        "model": "m",
        "usage": USAGE,
        "results": [{"index": 1, "document": {"text": "b"}, "relevance_score": 0.9}],
    },
    "sglang": [{"score": 0.8, "document": "c", "index": 2, "meta_info": {"prompt_tokens": 3}}],
}
SCORED = {f"{start}{name}" for start in ("", "results.") for name in ("index", "score", "relevance_score")}
HELD = {"results", "results.document.text", *SCORED}
DRAWN = [
    {"type": "image_generation.partial_image", "b64_json": B64, "partial_image_index": 0, "size": "1x1"},
    {"type": "image_generation.completed", "b64_json": B64, "size": "1x1", "usage": USAGE},
]


def at(task: str, provider_: str = "url", *, stream: bool = False, **parameters: Any) -> Call:
    path = {"responses": "responses", "messages": "messages", "count-tokens": "messages/count_tokens"}.get(task, task)
    here = "http://127.0.0.1:9"
    base, url = (here, f"{here}/v1/{path}") if provider_ == "url" else (provider(provider_).base, None)
    return call(task, provider_, base=base, url=url, model="m", stream=stream, parameters=parameters)


DIALECTS = [
    Example(
        name="responses",
        sent=RESPONSES[:1],
        read=whole(at("responses", input="hi")),
        needed={"output", "output.type", "output.content", "status", "error"},
    ),
    Example(
        name="responses-stream",
        sent=RESPONSES[1:],
        read=streamed(at("responses", input="hi", stream=True)),
        needed={
            "type", "delta", "response", "response.output", "response.output.type", "response.output.content",
            "response.status", "response.error",
        },
    ),
    Example(name="messages", sent=[WROTE], read=whole(at("messages", **ASKED)), needed={"content", "type"}),
    Example(
        name="messages-stream",
        sent=WRITES,
        read=streamed(at("messages", stream=True, **ASKED)),
        needed=IN_MESSAGES | {"message.content"},
        same={"citation": {"citations"}},
    ),
    Example(
        name="count-tokens",
        sent=[{"input_tokens": 3, "context_management": {"original_input_tokens": 5}}],
        read=whole(at("count-tokens", messages=ASKED["messages"])),
        needed={"input_tokens"},
    ),
    Example(
        name="chat-of-messages",
        sent=[WROTE],
        read=whole(at("chat-completion", "anthropic", **ASKED)),
        needed=IN_MESSAGES | IN_TEXT,
        same=AS_CHAT,
    ),
    Example(
        name="chat-of-messages-stream",
        sent=WRITES,
        read=streamed(at("chat-completion", "anthropic", stream=True, **ASKED)),
        needed=IN_MESSAGES | IN_TEXT | {"content_block.thinking"},
        same=AS_CHAT,
    ),
    Example(
        name="moderation",
        sent=[{"id": "x", "model": "m", "results": [FLAGS]}],
        read=whole(at("moderation", "openai", input="x")),
        needed={"results"},
    ),
    *(
        Example(
            name=f"rerank-{name}",
            sent=[sent],
            read=whole(at("rerank", name, query="q", documents=["a", "b", "c"])),
            needed=HELD,
            same={"meta": {"usage"}, "billed_units": {"usage"}},
        )
        for name, sent in RANKS.items()
    ),
    Example(
        name="edited-stream",
        sent=DRAWN,
        read=streamed(at("edit-image", "openai", stream=True, image=JPEG, prompt="a cat", partial_images=1), IMAGE),
        needed={"type", "b64_json"},
    ),
    Example(
        name="edited",
        sent=[{"created": 1, "data": [{"b64_json": B64, "revised_prompt": "x"}], "usage": USAGE}],
        read=whole(at("edit-image", "openai", image=JPEG, prompt="a cat"), IMAGE),
        needed={"data", "data.b64_json"},
    ),
    Example(
        name="translated",
        sent=[{"task": "translate", "text": "Hi", "duration": 1.5, "segments": [SEGMENT]}],
        read=whole(at("audio-translation", "openai", audio=FLAC), SOUND),
        needed={"text"},
        same=TIMES,
    ),
]  # fmt: skip

EXAMPLES = [*CHATS, *TEXTS, *HEARINGS, *OTHERS, *PIPED, *VENDORS, *FURTHER, *DIALECTS]
PLACES = [
    (example, path) for example in EXAMPLES for path in members(example.sent) if named(path) not in example.needed
]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
).filter(lambda value: value != "error")


def test_every_vendors_own_answer_is_here() -> None:
    """By its name; the tasks of fal and Replicate whose answers are read alike are there once."""
    alike = {"fal": {"image-text-to-image", "image-text-to-video", "text-to-image"}, "replicate": {"text-to-image"}}
    for name, vendor in (("fal", "fal-ai"), ("replicate", "replicate")):
        own = {example.name.removeprefix(f"{name}-") for example in FURTHER if example.name.startswith(f"{name}-")}
        assert own | alike[name] | {HEAR} == provider(vendor).tasks.keys()


def test_every_task_is_here() -> None:
    """By itself, or as a pipeline's; an array of numbers has no members."""
    here = {"chat-completion", "text-generation", "feature-extraction", "embeddings", "text-to-image", "rerank"}
    here |= {"responses", "messages", "count-tokens", "moderation", "edit-image", "audio-translation"}
    media = (
        {case.task for case in JOBS} | FAL.keys() | REPLICATE.keys() | {"image-text-to-image", "image-text-to-video"}
    )
    numbers = {"sentence-similarity", "tabular-classification", "tabular-regression"}
    tasks = {row.declaration.name for row in vars(Tasks).values() if isinstance(row, Task)}
    assert tasks == here | media | numbers | PIPELINES.keys()


def test_every_task_with_an_answer_in_json_is_here() -> None:
    bodies = {"image-to-image", "text-to-image", "image-text-to-image", "text-to-video", "image-to-video"}
    numbers = {"sentence-similarity", "tabular-classification", "tabular-regression"}
    assert PIPELINES.keys() == DECODERS.keys() - bodies - numbers - {"image-text-to-video"}


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_member_that_is_not_needed_may_be_anything(example: Example, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([path for path in members(example.sent) if named(path) not in example.needed]))
    value = data.draw(json_values)
    names = {str(path[-1])} | example.same.get(str(path[-1]), set())
    expected = without(as_sent(example.name), names)
    found = without(plain(example.read(replaced(example.sent, path, value))), names)
    assert found == expected


@pytest.mark.parametrize(
    "value", [None, False, 0, "", [], {}, 12.5, "x", [None], [{}], {"x": 1}, float("nan")], ids=repr
)
def test_each_member_that_is_not_needed_may_be_odd(value: Any) -> None:
    wrong = []
    for example, path in PLACES:
        names = {str(path[-1])} | example.same.get(str(path[-1]), set())
        try:
            found = plain(example.read(replaced(example.sent, path, value)))
        except Exception as error:  # noqa: BLE001 - each of them is told
            wrong.append((str(example), path, repr(error)))
            continue
        if without(found, names) != without(as_sent(example.name), names):
            wrong.append((str(example), path, repr(found)))
    assert not wrong
