"""Every shape that a server is recorded to send becomes its task's result, and everything else an error."""

from __future__ import annotations

import base64
import io
import json
import os
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from headwater.errors import DecodeError, ServerError, UnexpectedContentError
from headwater.media.media import Media
from headwater.protocol.flow import Reply
from headwater.providers.pipeline_results import DECODERS

FOLDER = os.environ.get("HEADWATER_RECORDED")


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 3), 255).save(file, kind)
    return file.getvalue()


PNG, FLAC, MP4 = encoded("PNG"), b"fLaC" + bytes(60), b"\x00\x00\x00\x18ftypisom" + bytes(60)
MASK, SOUND = base64.b64encode(PNG).decode(), base64.b64encode(FLAC).decode()
BOX = {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}
TWO = [{"label": "a", "score": 0.9}, {"label": "b", "score": 0.1}]
TOKEN = {"sequence": "a b", "score": 0.5, "token": 7, "token_str": "b"}
ANSWER = {"answer": "b", "score": 0.5, "start": 2, "end": 3}
CELLS = {"answer": "SUM > 3", "coordinates": [[0, 1]], "cells": ["3"], "aggregator": "SUM"}
ENTITY = {"entity_group": "PER", "score": 0.9, "word": "Al", "start": 0, "end": 2}


def reply(body: Any, content_type: str = "application/json", status: int = 200) -> Reply:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers={"content-type": content_type}, body=sent, url="https://example.com/x")


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {k: v for k, v in value.to_dict().items() if v is not None} if hasattr(value, "to_dict") else value


@pytest.mark.parametrize(
    ("task", "sent", "result"),
    [
        ("audio-classification", TWO, TWO),
        ("image-classification", TWO, TWO),
        ("video-classification", TWO, TWO),
        ("zero-shot-image-classification", TWO, TWO),
        ("text-classification", TWO, TWO),
        ("text-classification", [TWO], TWO),
        ("text-classification", [TWO, TWO[:1]], TWO),
        ("text-classification", TWO[0], TWO[:1]),
        ("text-classification", [], []),
        ("zero-shot-classification", TWO, TWO),
        ("zero-shot-classification", {"sequence": "x", "labels": ["a", "b"], "scores": [0.9, 0.1]}, TWO),
        ("zero-shot-classification", [{"sequence": "x", "labels": ["a", "b"], "scores": [0.9, 0.1]}], TWO),
        ("audio-to-audio", [{"label": "a", "content-type": "audio/flac", "blob": SOUND}], None),
        ("automatic-speech-recognition", {"text": "Hi"}, {"text": "Hi"}),
        (
            "automatic-speech-recognition",
            {"text": "Hi", "chunks": [{"text": "Hi", "timestamp": [0, 1.5]}, {"text": "", "timestamp": [1.5, None]}]},
            None,
        ),
        ("image-segmentation", [{"label": "a", "mask": MASK, "score": None}], [{"label": "a", "mask": MASK}]),
        ("object-detection", [{"label": "a", "score": 0.5, "box": BOX}], None),
        ("object-detection", [], []),
        ("zero-shot-object-detection", [{"label": "a", "score": 0.5, "box": BOX}], None),
        ("image-to-text", [{"generated_text": "a cat"}], {"generated_text": "a cat"}),
        ("image-to-text", {"generated_text": "a cat"}, {"generated_text": "a cat"}),
        ("depth-estimation", {"depth": MASK, "predicted_depth": [[1.5]]}, None),
        ("document-question-answering", [ANSWER], [ANSWER]),
        ("document-question-answering", ANSWER, [ANSWER]),
        ("document-question-answering", [{"answer": "b"}], [{"answer": "b"}]),
        ("document-question-answering", {"answer": "b"}, [{"answer": "b"}]),
        ("visual-question-answering", [{"answer": "b", "score": 1.0}], None),
        ("visual-question-answering", [{"answer": None, "score": 1.0}], [{"score": 1.0}]),
        ("fill-mask", [TOKEN], [TOKEN]),
        ("fill-mask", [[TOKEN], [TOKEN]], [[TOKEN], [TOKEN]]),
        ("question-answering", ANSWER, ANSWER),
        ("question-answering", [ANSWER, ANSWER], [ANSWER, ANSWER]),
        ("sentence-similarity", [0.5, 1], [0.5, 1.0]),
        ("summarization", [{"summary_text": "x"}], {"summary_text": "x"}),
        ("summarization", {"summary_text": "x"}, {"summary_text": "x"}),
        ("translation", [{"translation_text": "x"}], {"translation_text": "x"}),
        ("translation", {"translation_text": "x"}, {"translation_text": "x"}),
        ("translation", [{"translation_text": "x"}, {"translation_text": "y"}], {"translation_text": "x"}),
        ("table-question-answering", CELLS, CELLS),
        ("table-question-answering", [CELLS], CELLS),
        ("tabular-classification", [1, "a", 0.5], [1, "a", 0.5]),
        ("tabular-regression", [1, 2.5], [1.0, 2.5]),
        ("token-classification", [ENTITY], [ENTITY]),
        (
            "token-classification",
            [{"entity": "PER", "score": 0.9, "word": "Al", "start": None, "end": None}],
            [{"entity": "PER", "score": 0.9, "word": "Al"}],
        ),
    ],
)
def test_every_shape(task: str, sent: Any, result: Any) -> None:
    """`result`: the plain result; None where it is what was sent."""
    assert plain(DECODERS[task](reply(sent))) == (sent if result is None else result)


def test_every_object_keeps_what_the_server_sent() -> None:
    first, second = DECODERS["image-classification"](reply([{**TWO[0], "index": 7}, TWO[1]]))
    assert (first["index"], first.raw) == (7, {**TWO[0], "index": 7})
    assert second.get("index") is None
    assert DECODERS["translation"](reply([{"translation_text": "x", "y": 1}]))["y"] == 1


@pytest.mark.parametrize("task", ["text-to-image", "image-to-image", "image-text-to-image"])
@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "application/octet-stream", ""])
def test_images(task: str, content_type: str) -> None:
    image = DECODERS[task](reply(PNG, content_type))
    assert (image.size, image.format, image.getpixel((0, 0))) == ((4, 3), "PNG", 255)


def test_the_mask_and_the_depth_are_images() -> None:
    (part,) = DECODERS["image-segmentation"](reply([{"label": "a", "mask": MASK, "score": 1}]))
    depth = DECODERS["depth-estimation"](reply({"depth": MASK}))
    alone = DECODERS["depth-estimation"](reply(PNG, "image/png"))
    assert part.mask.size == depth.depth.size == alone.depth.size == (4, 3)
    assert json.loads(part.to_json())["mask"] == MASK


@pytest.mark.parametrize(
    ("task", "body", "content_type", "kind"),
    [
        ("text-to-speech", FLAC, "audio/flac", "audio/flac"),
        ("text-to-speech", FLAC, "audio/wav", "audio/flac"),
        ("text-to-speech", b"\x00\x01\x02\x03", "audio/pcm; rate=24000", "audio/pcm"),
        ("text-to-speech", MP4, "audio/mp4", "audio/mp4"),
        ("text-to-speech", {"audio": SOUND, "sampling_rate": 16000}, "application/json", "audio/flac"),
        ("text-to-audio", [{"audio": SOUND, "sampling_rate": 16000}], "application/json", "audio/flac"),
        ("text-to-audio", FLAC, "", "audio/flac"),
        ("text-to-video", MP4, "application/octet-stream", "video/mp4"),
        ("image-to-video", MP4, "video/mp4", "video/mp4"),
        ("image-text-to-video", MP4, "video/mp4", "video/mp4"),
    ],
)
def test_media(task: str, body: Any, content_type: str, kind: str) -> None:
    result = DECODERS[task](reply(body, content_type))
    assert isinstance(result, Media)
    assert result.mime_type == kind
    assert result == (body if isinstance(body, bytes) else FLAC)


def test_a_separated_sound_is_media() -> None:
    sent = [{"label": "a", "content-type": "audio/flac", "blob": SOUND}]
    (sound,) = DECODERS["audio-to-audio"](reply(sent))
    assert sound.blob == FLAC
    assert sound.blob.mime_type == sound.content_type == "audio/flac"
    assert plain([sound]) == sent


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (b"", "application/json", DecodeError),
        (b"", "", UnexpectedContentError),
        (b"<!DOCTYPE html><html></html>", "text/html", UnexpectedContentError),
        (b"<html></html>", "audio/flac", DecodeError),
        (b'{"error": "CUDA out of memory", "status_code": 500}', "application/json", ServerError),
        (b'{"unrelated": 1}', "application/json", DecodeError),
        (b'[{"unrelated": 1}]', "application/json", DecodeError),
        (b"[[", "application/json", DecodeError),
        (b"tree", "application/json", DecodeError),
        (b"\xff\xfe", "application/json", DecodeError),
    ],
)
def test_everything_else_is_an_error(body: bytes, content_type: str, kind: type[Exception]) -> None:
    for decoder in DECODERS.values():
        with pytest.raises(kind):
            decoder(reply(body, content_type))


@pytest.mark.parametrize(
    ("task", "body", "said"),
    [
        ("translation", [], "an empty list"),
        ("text-to-speech", [], "an empty list"),
        ("zero-shot-classification", {"labels": ["a"], "scores": []}, "1 labels with 0 scores"),
        ("image-segmentation", [{"label": "a", "mask": "!!!"}], "base64"),
        ("image-segmentation", [{"label": "a", "mask": "AAAA"}], "not an image in one of the formats"),
        ("image-classification", [{"label": {}, "score": 1}], "$.label"),
        ("text-to-image", {"images": []}, "the answer is application/json, not image"),
    ],
)
def test_what_is_said(task: str, body: Any, said: str) -> None:
    with pytest.raises(DecodeError) as raised:
        DECODERS[task](reply(body))
    assert said in raised.value.message
    assert raised.value.body


def test_an_image_is_no_sound() -> None:
    with pytest.raises(UnexpectedContentError, match="the answer is image/png, not audio"):
        DECODERS["text-to-speech"](reply(PNG, "audio/flac"))


def test_an_error_inside_an_answer_has_its_class() -> None:
    with pytest.raises(ServerError, match="CUDA"):
        DECODERS["text-to-image"](reply({"error": "CUDA out of memory", "status_code": 500}))


# The recordings -----------------------------------------------------------------------------------------------

MODELS = {
    "wav2vec2": "automatic-speech-recognition",
    "hubert-large": "audio-classification",
    "sepformer": "audio-to-audio",
    "kan-bayashi": "text-to-speech",
    "bert-large-cased-finetuned-conll03": "token-classification",
    "finetuned-sst-2": "text-classification",
    "roberta-base-squad2": "question-answering",
    "bert-base-uncased": "fill-mask",
    "vilt-b32": "visual-question-answering",
    "bart-large-cnn": "summarization",
    "pegasus": "summarization",
    "bart-large-mnli": "zero-shot-classification",
    "detr-resnet-50-panoptic": "image-segmentation",
    "detr-resnet-50": "object-detection",
    "tapas": "table-question-answering",
    "vit-base-patch16-224": "image-classification",
    "controlnet": "image-to-image",
    "layoutlm": "document-question-answering",
    "donut": "document-question-answering",
    "vit-gpt2": "image-to-text",
    "clip-vit": "zero-shot-image-classification",
    "all-MiniLM": "sentence-similarity",
    "paraphrase-xlm": "sentence-similarity",
    "t5-base": "translation",
    "Fish-Weight": "tabular-regression",
    "wine-quality": "tabular-classification",
}


def task_of(exchange: dict[str, Any]) -> str | None:
    if exchange["provider"] == "fal-ai" and "whisper" in exchange["url"]:
        return "automatic-speech-recognition"
    if exchange["provider"] != "hf-inference" or "/v1/" in exchange["url"]:
        return None
    if exchange["task_guess"] in DECODERS:
        return str(exchange["task_guess"])
    if exchange["task_guess"].startswith("text-to-image"):
        return "text-to-image"
    return next((task for model, task in MODELS.items() if model in exchange["url"]), None)


def body_of(exchange: dict[str, Any]) -> bytes | None:
    stored = exchange["response_body"] or {}
    if "file" in stored:
        return Path(FOLDER or "", stored["file"]).read_bytes()
    return str(stored["text"]).encode() if "text" in stored else None


@cache
def recorded() -> list[tuple[str, str, Reply]]:
    """Task, id and answer of every recorded success whose body was kept."""
    found = []
    for line in (Path(FOLDER or "") / "exchanges.jsonl").read_text(encoding="utf-8").splitlines():
        exchange = json.loads(line)
        task, body = task_of(exchange), body_of(exchange)
        if exchange["method"] == "POST" and exchange["status"] == 200 and task and body is not None:
            headers = exchange["response_headers"]
            found.append((task, exchange["id"], Reply(status=200, headers=headers, body=body)))
    return found


@pytest.mark.skipif(FOLDER is None, reason="HEADWATER_RECORDED names no folder of recorded exchanges")
def test_every_recorded_answer() -> None:
    failed, counts = [], Counter[str]()
    for task, name, answer in recorded():
        try:
            assert DECODERS[task](answer), name
            counts[task] += 1
        except DecodeError as error:
            failed.append((task, name, answer.body[:20], str(error)))
    print(f"{counts.total()} of {len(recorded())} decode: {dict(counts)}")
    broken = [body for _, _, body, _ in failed if body == b"tree"]  # the whole body of one that is no JSON
    assert len(failed) == len(broken) <= 1, failed
    assert len(counts) >= 20
