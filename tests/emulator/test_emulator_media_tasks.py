"""hf-inference's tasks at the emulator: each answered in the shape that servers were recorded in, and strict."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import httpx
import pytest
from PIL import Image
from support.emulator_client import client

from headwater import emulator
from headwater.emulator.dialects import hf_tasks, media, offers
from headwater.emulator.server import Emulator

PNG, WAV, MP4 = media.png(64, 32), media.wav(), media.mp4()
TABLE = {"name": ["a", "b"], "stars": ["1", "2"]}
TEXT = "Sarah Jessica Parker lives in Berlin"


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


JSON: tuple[tuple[str, dict[str, Any], Any], ...] = (
    (
        "document-question-answering",
        {"inputs": {"image": in_base64(PNG), "question": "Which?"}},
        [{"answer", "score", "start", "end"}],
    ),
    ("fill-mask", {"inputs": "a [MASK] of rain"}, [{"score", "token", "token_str", "sequence"}] * 5),
    (
        "fill-mask",
        {"inputs": "<mask> of <mask>", "parameters": {"top_k": 1}},
        [[{"score", "token", "token_str", "sequence"}]] * 2,
    ),
    ("question-answering", {"inputs": {"question": "Who?", "context": TEXT}}, {"score", "start", "end", "answer"}),
    (
        "question-answering",
        {"inputs": {"question": "Who?", "context": TEXT}, "parameters": {"top_k": 2}},
        [{"score", "start", "end", "answer"}] * 2,
    ),
    ("sentence-similarity", {"inputs": {"source_sentence": "a", "sentences": ["a", "b"]}}, [float, float]),
    ("summarization", {"inputs": TEXT, "parameters": {"truncation": "only_first"}}, [{"summary_text"}]),
    (
        "table-question-answering",
        {"inputs": {"query": "Which?", "table": TABLE}},
        {"answer", "coordinates", "cells", "aggregator"},
    ),
    ("table-question-answering", {"query": "Which?", "table": TABLE}, {"answer", "coordinates", "cells", "aggregator"}),
    ("tabular-classification", {"table": TABLE, "parameters": {}}, [int, int]),
    ("tabular-regression", {"inputs": {"data": TABLE}}, [float, float]),
    ("text-classification", {"inputs": "a river"}, [[{"label", "score"}] * 2]),
    ("text-classification-flat", {"inputs": "a river", "parameters": {"top_k": 1}}, [{"label", "score"}]),
    ("token-classification", {"inputs": TEXT}, [{"entity_group", "score", "word", "start", "end"}] * 2),
    (
        "token-classification",
        {"inputs": TEXT, "parameters": {"aggregation_strategy": "none"}},
        [{"entity", "index", "score", "word", "start", "end"}] * 4,
    ),
    ("translation", {"inputs": TEXT, "parameters": {"src_lang": "a", "tgt_lang": "b"}}, [{"translation_text"}]),
    (
        "visual-question-answering",
        {"inputs": {"image": in_base64(PNG), "question": "Who?"}, "parameters": {"top_k": 1}},
        [{"answer", "score"}],
    ),
    (
        "visual-question-answering",
        {"inputs": in_base64(PNG), "image": in_base64(PNG), "question": "Who?"},
        [{"answer", "score"}] * 5,
    ),
    ("visual-question-answering", {"image": in_base64(PNG), "question": "Who?"}, [{"answer", "score"}] * 5),
    (
        "zero-shot-classification",
        {"inputs": "a", "parameters": {"candidate_labels": ["x", "y"]}},
        [{"label", "score"}] * 2,
    ),
    (
        "zero-shot-classification-legacy",
        {"inputs": "a", "parameters": {"candidate_labels": ["x"]}},
        {"sequence", "labels", "scores"},
    ),
    (
        "zero-shot-image-classification",
        {"inputs": in_base64(PNG), "parameters": {"candidate_labels": "x,y"}},
        [{"label", "score"}] * 2,
    ),
    (
        "zero-shot-object-detection",
        {"inputs": in_base64(PNG), "parameters": {"candidate_labels": ["x"]}},
        [{"label", "score", "box"}],
    ),
)
FILES: tuple[tuple[str, bytes, dict[str, Any], Any], ...] = (
    ("audio-classification", WAV, {"top_k": 3}, [{"label", "score"}] * 3),
    ("audio-to-audio", WAV, {}, [{"label", "content-type", "blob"}] * 2),
    ("automatic-speech-recognition", WAV, {"return_timestamps": True, "temperature": 0.5}, {"text", "chunks"}),
    ("depth-estimation", PNG, {}, {"predicted_depth", "depth"}),
    ("image-classification", PNG, {"function_to_apply": "softmax", "top_k": 2}, [{"label", "score"}] * 2),
    ("image-segmentation", PNG, {"subtask": "instance"}, [{"label", "score", "mask"}] * 2),
    ("image-to-text", PNG, {"max_new_tokens": 8}, [{"generated_text"}]),
    ("object-detection", PNG, {"threshold": 0}, [{"label", "score", "box"}] * 5),
    ("video-classification", MP4, {"num_frames": 8, "top_k": 1}, [{"label", "score"}]),
)
MADE: tuple[tuple[str, Any, dict[str, Any], str], ...] = (
    ("image-text-to-image", None, {"prompt": "a"}, "image/png"),
    ("image-text-to-video", None, {"prompt": "a"}, "video/mp4"),
    ("image-to-image", in_base64(PNG), {"prompt": "a", "target_size": {"width": 8, "height": 4}}, "image/png"),
    ("image-to-video", in_base64(PNG), {"num_frames": 8}, "video/mp4"),
    ("text-to-audio", "a", {}, "audio/wav"),
    ("text-to-image", "a", {"width": 8, "height": 4, "seed": 1}, "image/png"),
    ("text-to-speech", "a", {"temperature": 0.5, "generation_parameters": {}}, "audio/wav"),
    ("text-to-video", "a", {"negative_prompt": ["b"]}, "video/mp4"),
)


def shape(value: Any) -> Any:
    """The value with its leaves as their types, an object as the set of its names."""
    if isinstance(value, dict):
        return set(value)
    return [shape(one) for one in value] if isinstance(value, list) else type(value)


def ask(url: str, model: str, **sent: Any) -> httpx.Response:
    with client(url) as http:
        return http.post(f"/models/emulator/{model}", **sent)


@pytest.mark.parametrize(("model", "body", "expected"), JSON)
def test_what_is_asked_in_json(headwater_emulator: Emulator, model: str, body: Any, expected: Any) -> None:
    first, second = (ask(headwater_emulator, model, json=body).raise_for_status().json() for _ in range(2))
    assert shape(first) == expected and first == second


@pytest.mark.parametrize(("model", "data", "given", "expected"), FILES)
def test_files_go_as_they_are_or_in_base64(
    headwater_emulator: Emulator, model: str, data: bytes, given: Any, expected: Any
) -> None:
    body = {"inputs": in_base64(data), "parameters": given}
    assert shape(ask(headwater_emulator, model, json=body).raise_for_status().json()) == expected
    for headers in ({}, {"content-type": "application/octet-stream"}):
        ask(headwater_emulator, model, content=data, headers=headers).raise_for_status()
    for wrong in (b"", b"not a file", b'{"inputs": {}}', in_base64(data).encode()):
        assert ask(headwater_emulator, model, content=wrong).status_code == 400
    wrong_inputs: tuple[Any, ...] = (None, "", {}, "data:image/png;base64,AAAA", in_base64(b"not a file"))
    for inputs in wrong_inputs:
        answer = ask(headwater_emulator, model, json={"inputs": inputs})
        assert answer.status_code == 400 and answer.json()["error"][0].startswith("Error in `inputs`")


@pytest.mark.parametrize(("model", "inputs", "given", "kind"), MADE)
def test_what_is_made(headwater_emulator: Emulator, model: str, inputs: Any, given: Any, kind: str) -> None:
    answer = ask(headwater_emulator, model, json={"inputs": inputs, "parameters": given})
    assert answer.headers["content-type"] == kind
    found = {"image/png": media.is_image, "video/mp4": media.is_video, "audio/wav": media.is_audio}[kind]
    assert found(answer.content)
    assert ask(headwater_emulator, model, json={"inputs": None, "parameters": {}}).status_code == 400


def test_every_task_of_the_table_is_answered() -> None:
    asked = {name for name, *_ in (*JSON, *FILES, *MADE)} - {
        "text-classification-flat",
        "zero-shot-classification-legacy",
    }
    language = {"conversational", "feature-extraction", "text-generation"}
    assert asked | language == {task for task in offers.OFFERS if "hf-inference" in offers.providers(task)}
    assert set(hf_tasks.TASKS) == asked - {"sentence-similarity"}


@pytest.mark.parametrize(
    ("model", "body", "found"),
    [
        ("question-answering", {"inputs": {"question": "Who?"}}, "Error in `inputs.context`: field required"),
        ("table-question-answering", {"inputs": {"question": "a", "table": TABLE}}, "Keyword argument `table`"),
        (
            "table-question-answering",
            {"inputs": {"query": "a", "table": {"a": ["1"], "b": []}}},
            "Keyword argument `table`",
        ),
        ("table-question-answering", {"inputs": {"query": "a", "table": {"a": [1]}}}, "Keyword argument `table`"),
        ("fill-mask", {"inputs": "no mask"}, "No mask_token"),
        ("text-to-image", {"inputs": "a", "parameters": {"negative_prompt": ["b"]}}, "`negative_prompt`"),
        ("text-to-image", {"inputs": "a", "parameters": {"width": "8"}}, "`width`"),
        ("image-classification", {"inputs": in_base64(PNG), "parameters": {"function_to_apply": "max"}}, "softmax"),
        (
            "image-classification",
            {"inputs": in_base64(PNG), "parameters": {"limit": 1}},
            "unexpected keyword argument 'limit'",
        ),
        ("image-classification", {"inputs": in_base64(PNG), "parameters": {"top_k": 0}}, "`top_k`"),
        ("image-to-image", {"inputs": in_base64(PNG), "parameters": {"target_size": {"width": 8}}}, "`target_size`"),
        ("zero-shot-classification", {"inputs": "a"}, "`parameters.candidate_labels`: field required"),
        ("zero-shot-image-classification", {"inputs": in_base64(PNG)}, "`parameters.candidate_labels`: field required"),
        ("visual-question-answering", {"inputs": {"image": in_base64(PNG)}}, "Error in `inputs.question`"),
        ("document-question-answering", {"inputs": {"image": "?", "question": "a"}}, "Invalid image"),
        ("translation", {"inputs": "a", "parameters": {"src_lang": "a"}}, "`src_lang` and `tgt_lang`"),
        ("summarization", {"inputs": "a", "parameters": []}, "value is not a valid dict"),
        ("summarization", {"inputs": ["a", 1]}, "str type expected"),
        ("tabular-classification", {"inputs": {"data": {"a": ["1"], "b": []}}}, "Error in `inputs.data`"),
    ],
)
def test_what_is_refused(headwater_emulator: Emulator, model: str, body: Any, found: str) -> None:
    answer = ask(headwater_emulator, model, json=body)
    error = answer.json()["error"]
    text = error[0] if isinstance(error, list) else error
    if answer.json().get("warnings"):
        assert answer.json()["warnings"] == [f"There was an inference error: {text}"]
    assert answer.status_code == 400 and found in text


def test_pillow_reads_the_pictures_and_masks(headwater_emulator: Emulator) -> None:
    picture = ask(headwater_emulator, "text-to-image", json={"inputs": "a", "parameters": {"width": 8, "height": 4}})
    assert Image.open(io.BytesIO(picture.content)).convert("RGB").size == (8, 4)
    for one in ask(headwater_emulator, "image-segmentation", content=PNG).json():
        mask = Image.open(io.BytesIO(base64.b64decode(one["mask"])))
        assert (mask.mode, mask.size) == ("L", (64, 32)) and set(mask.tobytes()) <= {0, 255}


def test_the_standard_library_reads_the_sounds(headwater_emulator: Emulator) -> None:
    sound = ask(headwater_emulator, "text-to-speech", json={"inputs": "a"}).content
    with wave.open(io.BytesIO(sound)) as found:
        assert (found.getframerate(), found.getnframes(), found.getnchannels()) == (8000, 800, 1)


@pytest.mark.parametrize(
    "path",
    [
        "/models/a/b/pipeline/summarization",
        "/pipeline/summarization/a/b",
        "/tasks/summarization",
        "/routed/hf-inference/models/a/b/pipeline/summarization",
    ],
)
def test_where_a_task_is_found(headwater_emulator: Emulator, path: str) -> None:
    with client(headwater_emulator) as http:
        assert http.post(path, json={"inputs": TEXT}).json() == [{"summary_text": TEXT}]


def test_a_task_that_nobody_knows(headwater_emulator: Emulator) -> None:
    with client(headwater_emulator) as http:
        assert http.post("/models/a/b/pipeline/divination", json={"inputs": TEXT}).status_code == 404


def test_a_task_can_load_and_fail() -> None:
    with emulator.running() as url:
        loading = [ask(url, "summarization-loading", json={"inputs": "a"}).status_code for _ in range(2)]
        assert loading == [503, 200]
        failed = ask(url, "summarization-fail", json={"inputs": "a"})
        assert failed.status_code == 500 and failed.json()["warnings"]
