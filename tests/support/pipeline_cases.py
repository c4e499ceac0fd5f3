"""The pipeline dialect's tasks as data: arguments, the body that they make, and an answer; and how they are checked.

Each row's arguments are checked by the task's own declaration, so that none is made up here.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from headwater.media.images import LARGEST
from headwater.media.media import Media
from headwater.protocol.flow import MIB, Loaded, Reply
from headwater.providers import flow_for
from headwater.providers.pipeline import AT_MODEL
from headwater.providers.pipeline_results import DECODERS
from headwater.tasks import audio, image_generation, language, multimodal, passages, tabular, video, vision, zero_shot
from headwater.tasks.declaration import Declaration
from support.flow_player import Played, call, reply

HF, MODEL, URL = "https://router.huggingface.co/hf-inference", "org/m", "https://h.example/some/path?a=1"

DECLARED = {
    found.name: found
    for module in (audio, image_generation, language, multimodal, passages, tabular, video, vision, zero_shot)
    for found in vars(module).values()
    if isinstance(found, Declaration)
}


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 3), 255).save(file, kind)
    return file.getvalue()


PNG, JPEG = picture("PNG"), picture("JPEG")
FLAC, MP4 = b"fLaC" + bytes(60), b"\x00\x00\x00\x18ftypisom" + bytes(60)
B64 = {data: base64.b64encode(data).decode() for data in (PNG, JPEG, FLAC, MP4)}
FILES = {"audio": (FLAC, "audio/flac"), "image": (PNG, "image/png"), "video": (MP4, "video/mp4")}

TABLE = {"Stars": ["1", "2"], "Name": ["a", "b"]}
TWO = [{"label": "a", "score": 0.9}, {"label": "b", "score": 0.1}]
BOXES = [{"label": "a", "score": 0.5, "box": {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}}]
TOKENS = [{"sequence": "a b", "score": 0.5, "token": 7, "token_str": "b"}]
ANSWER = [{"answer": "b", "score": 0.5, "start": 2, "end": 3}]
SIZE = {"width": 64, "height": 32}

# task, arguments, the body's inputs, the body's parameters, an answer (JSON)
JSON_CASES: list[tuple[str, dict[str, Any], Any, dict[str, Any], Any]] = [
    (
        "fill-mask",
        {"text": "a [MASK]", "targets": ["b"], "top_k": 1},
        "a [MASK]",
        {"targets": ["b"], "top_k": 1},
        TOKENS,
    ),
    (
        "question-answering",
        {"question": "q", "context": "c", "top_k": 2, "align_to_words": False},
        {"question": "q", "context": "c"},
        {"top_k": 2, "align_to_words": False},
        ANSWER[0],
    ),
    (
        "sentence-similarity",
        {"sentence": "s", "other_sentences": ["t", "u"]},
        {"source_sentence": "s", "sentences": ["t", "u"]},
        {},
        [0.5, 0.25],
    ),
    (
        "summarization",
        {"text": "t", "truncation": "only_first", "generate_parameters": {"max_length": 100}},
        "t",
        {"max_length": 100, "truncation": "only_first"},
        [{"summary_text": "s"}],
    ),
    (
        "table-question-answering",
        {"table": TABLE, "query": "q", "sequential": True, "padding": "longest"},
        {"table": TABLE, "query": "q"},
        {"sequential": True, "padding": "longest"},
        {"answer": "AVERAGE > 1", "coordinates": [[0, 0]], "cells": ["1"], "aggregator": "AVERAGE"},
    ),
    ("tabular-classification", {"table": TABLE}, {"data": TABLE}, {}, [5, "a"]),
    ("tabular-regression", {"table": TABLE}, {"data": TABLE}, {}, [270.5, 3]),
    ("text-classification", {"text": "t", "top_k": 2}, "t", {"top_k": 2}, [TWO]),
    (
        "token-classification",
        {"text": "t", "aggregation_strategy": "simple", "ignore_labels": ["O"], "stride": 0},
        "t",
        {"aggregation_strategy": "simple", "ignore_labels": ["O"], "stride": 0},
        [{"entity_group": "PER", "score": 0.9, "word": "Al", "start": 0, "end": 2}],
    ),
    (
        "translation",
        {"text": "t", "src_lang": "en", "tgt_lang": "fr", "generate_parameters": {"num_beams": 2}},
        "t",
        {"src_lang": "en", "tgt_lang": "fr", "num_beams": 2},
        [{"translation_text": "u"}],
    ),
    (
        "zero-shot-classification",
        {"text": "t", "candidate_labels": ["a", "b"], "multi_label": False, "hypothesis_template": "{}!"},
        "t",
        {"candidate_labels": ["a", "b"], "multi_label": False, "hypothesis_template": "{}!"},
        {"sequence": "t", "labels": ["a", "b"], "scores": [0.9, 0.1]},
    ),
]

# task, arguments beside the file, the body's parameters with them, an answer (JSON, or bytes with their type)
FILE_CASES: list[tuple[str, dict[str, Any], dict[str, Any], Any]] = [
    ("audio-classification", {"top_k": 2, "function_to_apply": "none"}, {"top_k": 2, "function_to_apply": "none"}, TWO),
    ("audio-to-audio", {}, {}, [{"label": "a", "content-type": "audio/flac", "blob": B64[FLAC]}]),
    (
        "automatic-speech-recognition",
        {"return_timestamps": True, "generation_parameters": {"num_beams": 2}},
        {"return_timestamps": True, "generation_parameters": {"num_beams": 2}},
        {"text": "Hi", "chunks": [{"text": "Hi", "timestamp": [0.0, 1.5]}]},
    ),
    ("depth-estimation", {}, {}, {"depth": B64[PNG], "predicted_depth": [[1.5]]}),
    ("image-classification", {"top_k": 1}, {"top_k": 1}, TWO),
    (
        "image-segmentation",
        {"subtask": "panoptic", "threshold": 0.0},
        {"subtask": "panoptic", "threshold": 0.0},
        [{"label": "a", "mask": B64[PNG], "score": 1.0}],
    ),
    (
        "image-to-image",
        {"prompt": "p", "target_size": SIZE, "num_inference_steps": 4},
        {"prompt": "p", "target_size": SIZE, "num_inference_steps": 4},
        JPEG,
    ),
    (
        "image-to-text",
        {"max_new_tokens": 5, "generation_parameters": {"temperature": 0.5}},
        {"max_new_tokens": 5, "generation_parameters": {"temperature": 0.5}},
        [{"generated_text": "a cat"}],
    ),
    ("object-detection", {"threshold": 0.5}, {"threshold": 0.5}, BOXES),
    ("video-classification", {"num_frames": 8}, {"num_frames": 8}, TWO),
    ("image-text-to-image", {"prompt": "p", "seed": 0}, {"prompt": "p", "seed": 0}, PNG),
    ("image-text-to-video", {"prompt": "p"}, {"prompt": "p"}, MP4),
    ("image-to-video", {"prompt": "p", "num_frames": 8.0}, {"prompt": "p", "num_frames": 8.0}, MP4),
    ("zero-shot-image-classification", {"candidate_labels": ["a", "b"]}, {"candidate_labels": ["a", "b"]}, TWO),
    ("zero-shot-object-detection", {"candidate_labels": ["a"]}, {"candidate_labels": ["a"]}, BOXES),
]

# task, arguments, the body's parameters, an answer (bytes)
MEDIA_CASES: list[tuple[str, dict[str, Any], dict[str, Any], bytes]] = [
    ("text-to-audio", {"generation_parameters": {"top_k": 3}}, {"generation_parameters": {"top_k": 3}}, FLAC),
    ("text-to-image", {"width": 64, "seed": 0}, {"width": 64, "seed": 0}, JPEG),
    (
        "text-to-speech",
        {"do_sample": True, "temperature": 0.5},
        {"generation_parameters": {"do_sample": True, "temperature": 0.5}},
        FLAC,
    ),
    (
        "text-to-video",
        {"num_frames": 8.0, "negative_prompt": ["n"]},
        {"num_frames": 8.0, "negative_prompt": ["n"]},
        MP4,
    ),
]

ASKED = ["document-question-answering", "visual-question-answering"]
LABELLED = ["zero-shot-image-classification", "zero-shot-object-detection"]
IMAGES = ["image-to-image", "image-text-to-image", "text-to-image"]
SOUNDS, VIDEOS = ["text-to-speech", "text-to-audio"], ["image-to-video", "image-text-to-video", "text-to-video"]
ACCEPT = dict.fromkeys(IMAGES, "image/png") | dict.fromkeys(SOUNDS + VIDEOS, "*/*")
KIND = {FLAC: "audio/flac", MP4: "video/mp4", PNG: "image/png", JPEG: "image/jpeg"}


def file_of(task: str) -> str:
    """The name of the task's parameter that is a file."""
    return next(name for name in DECLARED[task].positional if name in FILES)


def loaded_for(task: str, **facts: Any) -> Loaded:
    data, kind = FILES[file_of(task)]
    return Loaded(mime_type=kind, data=data, size=len(data), **facts)


def ask(task: str, given: dict[str, Any], *, at: str = "model", **facts: Any) -> Any:
    """The task's flow at hf-inference, or at a server's own URL."""
    bound = DECLARED[task].bind((), given)
    name, where = ("hf-inference", {"base": HF, "model": MODEL}) if at == "model" else ("url", {"url": URL})
    return flow_for(name, task)(call(task, name, parameters=bound, **{**where, **facts}))


def url_of(task: str, at: str) -> str:
    if at == "url":
        return URL
    return f"{HF}/models/{MODEL}" + ("/pipeline/sentence-similarity" if task == "sentence-similarity" else "")


def answer(sent: Any) -> Reply:
    return reply(sent, content_type=KIND[sent]) if isinstance(sent, bytes) else reply(sent)


def places(task: str) -> list[str]:
    return ["model", "url"] if task in AT_MODEL else ["url"]


def check_request(played: Played, task: str, at: str, content_type: str = "application/json") -> None:
    request = played.request
    assert (request.method, request.url, request.auth, request.resend) == ("POST", url_of(task, at), "provider", True)
    assert request.headers == {"content-type": content_type, "accept": ACCEPT.get(task, "application/json")}
    assert request.limit == (LARGEST if task in ACCEPT else 64 * MIB)


def check_result(result: Any, task: str, sent: Any) -> None:
    """The result is what the decoder of the task makes of the answer."""
    wanted = DECODERS[task](answer(sent))
    if isinstance(wanted, Image.Image):
        assert isinstance(result, Image.Image) and (result.size, result.format) == (wanted.size, wanted.format)
        return
    if isinstance(wanted, Media):
        assert isinstance(result, Media) and result.mime_type == wanted.mime_type
    assert plain(result) == plain(wanted) and result


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else value


def some_call(task: str) -> tuple[dict[str, Any], list[Loaded]]:
    for name, given, *_ in JSON_CASES:
        if name == task:
            return given, []
    if task == "text-to-image":
        return {"prompt": "t"}, []
    given = {"question": "q"} if task in ASKED else {}
    given |= {"candidate_labels": ["a", "b"]} if task in LABELLED else {}
    return {file_of(task): FILES[file_of(task)][0], **given}, [loaded_for(task)]


def some_answer(task: str) -> Any:
    for table in (JSON_CASES, FILE_CASES, MEDIA_CASES):
        for case in table:
            if case[0] == task:
                return case[-1]
    return ANSWER
