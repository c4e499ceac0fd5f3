"""One server for both clients: plain answers of every provider and of the Hub, and a record of what was asked.

It is no strict server: it answers whatever is asked, as what is compared is the question.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

import msgspec
from parity.calls import FLAC, JPEG, MP4, PNG

HUB, FILES = "huggingface.co", "https://files.example"
JSON = "application/json"
VIDEO, IMAGE, SOUND, INPUT = f"{FILES}/out.mp4", f"{FILES}/out.png", f"{FILES}/out.flac", f"{FILES}/in.png"
STORED = {VIDEO: (MP4, "video/mp4"), IMAGE: (PNG, "image/png"), SOUND: (FLAC, "audio/flac"), INPUT: (PNG, "image/png")}
B64 = base64.b64encode(PNG).decode()
CHUNK = {"id": "c", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
LAST = {"id": "c", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
CHAT = {
    "id": "c",
    "created": 1,
    "model": "m",
    "system_fingerprint": "",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
TOKEN = {"id": 1, "text": "Hi", "logprob": -1.0, "special": False}
SCORED = [{"label": "a", "score": 0.5}]
ANSWERED = [{"answer": "a", "score": 0.5, "start": 0, "end": 1}]
DETAILS = {"finish_reason": "length", "generated_tokens": 1, "prefill": [], "tokens": [TOKEN]}
PIPELINES: dict[str, Any] = {
    "audio-classification": SCORED,
    "audio-to-audio": [{"label": "a", "content-type": "audio/flac", "blob": base64.b64encode(FLAC).decode()}],
    "automatic-speech-recognition": {"text": "Hi"},
    "document-question-answering": ANSWERED,
    "fill-mask": [{"sequence": "a b", "score": 0.5, "token": 7, "token_str": "b"}],
    "image-classification": SCORED,
    "image-segmentation": [{"label": "a", "mask": B64, "score": 0.5}],
    "image-to-text": [{"generated_text": "a cat"}],
    "object-detection": [{"label": "a", "score": 0.5, "box": {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}}],
    "question-answering": ANSWERED[0],
    "sentence-similarity": [0.5, 0.25],
    "summarization": [{"summary_text": "s"}],
    "table-question-answering": {"answer": "a", "coordinates": [[0, 0]], "cells": ["1"], "aggregator": "NONE"},
    "tabular-classification": ["a", "b"],
    "text-classification": [SCORED],
    "text-generation": [{"generated_text": "Hi", "details": DETAILS}],
    "token-classification": [{"entity_group": "PER", "score": 0.5, "word": "Al", "start": 0, "end": 2}],
    "translation": [{"translation_text": "u"}],
    "visual-question-answering": [{"answer": "a", "score": 0.5}],
    "zero-shot-classification": SCORED,
    "zero-shot-image-classification": SCORED,
}
OPENAI: dict[str, Any] = {
    "automatic-speech-recognition": {"text": "Hi"},
    "chat-completion": CHAT,
    "image-to-image": {"data": [{"b64_json": B64}]},
    "text-generation": {"id": "c", "choices": [{"index": 0, "text": "Hi", "finish_reason": "length"}]},
    "text-to-image": {"data": [{"b64_json": B64}]},
}
MADE = {"image": IMAGE, "video": VIDEO, "speech": SOUND}


class Asked(msgspec.Struct, frozen=True):
    """A request as it came."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Answers for one provider and task; `asked` is all that came."""

    def __init__(self, provider: str, task: str) -> None:
        self.provider, self.task = provider, task
        self.asked: list[Asked] = []
        self.model = f"{provider}/{task}"  # its own, as the peer remembers a model's look-ups for ever

    @property
    def main(self) -> Asked:
        """The request that asks for the task: the first that is no look-up and no input's download."""
        return next(each for each in self.asked if not _is_lookup(each) and each.url != INPUT)

    def answer(self, asked: Asked) -> tuple[bytes, str]:
        """The answer's body and content type."""
        self.asked.append(asked)
        if asked.url in STORED:
            return STORED[asked.url]
        found = self._card() if _is_lookup(asked) else self._served(asked)
        return found if isinstance(found, tuple) else (json.dumps(found).encode(), JSON)

    def _card(self) -> dict[str, Any]:
        name = "conversational" if self.task == "chat-completion" else self.task
        tag = "text-generation" if self.task == "chat-completion" else self.task
        entry = {"providerId": "vendor/its-model", "status": "live", "task": name}
        mapping = {self.provider: entry}
        return {"_id": "1", "id": self.model, "pipeline_tag": tag, "tags": [tag], "inferenceProviderMapping": mapping}

    def _served(self, asked: Asked) -> Any:
        if self.task in {"chat-completion", "text-generation"} and b'"stream":true' in asked.body.replace(b" ", b""):
            return self._streamed()
        if self.task == "chat-completion":
            return CHAT
        made = MADE.get(self.task.rpartition("-to-")[2], IMAGE)
        return _JOBS.get(self.provider, _others)(self, asked, made)

    def _streamed(self) -> tuple[bytes, str]:
        chunks: list[Any] = [CHUNK, LAST]
        if self.task == "text-generation" and self.provider == "hf-inference":
            chunks = [{"index": 1, "token": TOKEN, "generated_text": "Hi", "details": DETAILS}]
        elif self.task == "text-generation":
            chunks = [{"id": "c", "choices": [{"index": 0, "text": "Hi", "finish_reason": "length"}]}]
        body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
        return body + b"data: [DONE]\n\n", "text/event-stream"


def _is_lookup(asked: Asked) -> bool:
    return urlsplit(asked.url).hostname == HUB


def _vectors(asked: Asked) -> list[list[float]]:
    """A vector for each input."""
    body = json.loads(asked.body)
    given = body.get("input", body.get("inputs"))
    return [[0.5, 0.25]] * (len(given) if isinstance(given, list) else 1)


def _pipelines(server: Server, asked: Asked, made: str) -> Any:
    if server.task == "feature-extraction":
        return _vectors(asked)
    if server.task in PIPELINES:
        return PIPELINES[server.task]
    return (JPEG, "image/jpeg") if made == IMAGE else STORED[made]


def _fal(server: Server, asked: Asked, made: str) -> Any:
    if server.task == "automatic-speech-recognition":
        return {"text": "Hi"}
    if server.task == "text-to-speech":
        return {"audio": {"url": made}}
    url = "https://queue.fal.run/vendor/its-model/requests/r"
    if asked.method == "POST":
        return {"request_id": "r", "status": "IN_QUEUE", "response_url": url}
    if "/status" in asked.url:
        return {"status": "COMPLETED"}
    if server.task == "image-segmentation":
        return {"image": {"url": f"data:image/png;base64,{B64}"}}
    return {"images": [{"url": made}], "video": {"url": made}}


def _replicate(server: Server, asked: Asked, made: str) -> Any:
    is_heard = server.task == "automatic-speech-recognition"
    return {"id": "p", "status": "succeeded", "output": "Hi" if is_heard else made, "urls": {}}


def _together(server: Server, asked: Asked, made: str) -> Any:
    if made == VIDEO:
        return {"id": "j", "status": "completed", "outputs": {"video_url": made}}
    return _others(server, asked, made)


def _wavespeed(server: Server, asked: Asked, made: str) -> Any:
    if asked.method == "POST":
        url = "https://api.wavespeed.ai/api/v3/predictions/p/result"
        return {"code": 200, "data": {"id": "p", "status": "created", "urls": {"get": url}}}
    return {"code": 200, "data": {"id": "p", "status": "completed", "outputs": [made]}}


def _zai(server: Server, asked: Asked, made: str) -> Any:
    return {"id": "j", "task_status": "SUCCESS", "image_result": [{"url": made}]}


def _novita(server: Server, asked: Asked, made: str) -> Any:
    return {"video": {"video_url": made}} if made == VIDEO else _others(server, asked, made)


def _others(server: Server, asked: Asked, made: str) -> Any:
    if server.task == "feature-extraction":
        return {"data": [{"index": at, "embedding": vector} for at, vector in enumerate(_vectors(asked))]}
    return STORED[SOUND] if server.task == "text-to-speech" else OPENAI[server.task]


_JOBS: dict[str, Any] = {
    "fal-ai": _fal,
    "hf-inference": _pipelines,
    "novita": _novita,
    "replicate": _replicate,
    "together": _together,
    "wavespeed": _wavespeed,
    "zai-org": _zai,
}
