"""Every task has a declaration that takes what its schema has, and says what is wrong before anything is sent."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any, get_type_hints

import numpy
import pytest
from PIL import Image

from headwater.errors import InvalidParameterError
from headwater.providers import PROVIDERS
from headwater.providers.pipeline import AT_URL
from headwater.providers.pipeline_results import DECODERS
from headwater.providers.registry import SERVER
from headwater.tasks import audio, image_generation, language, multimodal, passages, tabular, video, vision, zero_shot
from headwater.tasks.declaration import Declaration
from headwater.tasks.parameters import GenerationParameters, TargetSize

SCHEMAS = os.environ.get("HEADWATER_TASK_SCHEMAS")
MODULES = (audio, image_generation, language, multimodal, passages, tabular, video, vision, zero_shot)
TASKS: dict[str, Declaration[..., Any, Any]] = {
    found.name: found for module in MODULES for found in vars(module).values() if isinstance(found, Declaration)
}

# The tasks of Hugging Face's client: positional parameters, then those by name, in its order.
PEER = {
    "audio-classification": ("audio", "model top_k function_to_apply"),
    "audio-to-audio": ("audio", "model"),
    "automatic-speech-recognition": ("audio", "model extra_body"),
    "document-question-answering": (
        "image question",
        "model doc_stride handle_impossible_answer lang max_answer_len max_question_len max_seq_len top_k word_boxes",
    ),
    "fill-mask": ("text", "model targets top_k"),
    "image-classification": ("image", "model function_to_apply top_k"),
    "image-segmentation": ("image", "model mask_threshold overlap_mask_area_threshold subtask threshold"),
    "image-to-image": (
        "image prompt",
        "negative_prompt num_inference_steps guidance_scale model target_size",
    ),
    "image-to-video": (
        "image",
        "model prompt negative_prompt num_frames num_inference_steps guidance_scale seed target_size",
    ),
    "image-to-text": ("image", "model"),
    "object-detection": ("image", "model threshold"),
    "question-answering": (
        "question context",
        "model align_to_words doc_stride handle_impossible_answer max_answer_len max_question_len max_seq_len top_k",
    ),
    "sentence-similarity": ("sentence other_sentences", "model"),
    "summarization": ("text", "model clean_up_tokenization_spaces generate_parameters truncation"),
    "table-question-answering": ("table query", "model padding sequential truncation"),
    "tabular-classification": ("table", "model"),
    "tabular-regression": ("table", "model"),
    "text-classification": ("text", "model top_k function_to_apply"),
    "text-to-image": (
        "prompt",
        "negative_prompt height width num_inference_steps guidance_scale model scheduler seed extra_body",
    ),
    "text-to-video": (
        "prompt",
        "model guidance_scale negative_prompt num_frames num_inference_steps seed extra_body",
    ),
    "text-to-speech": (
        "text",
        (
            "model do_sample early_stopping epsilon_cutoff eta_cutoff max_length max_new_tokens min_length"
            " min_new_tokens num_beam_groups num_beams penalty_alpha temperature top_k top_p typical_p use_cache"
            " extra_body"
        ),
    ),
    "token-classification": ("text", "model aggregation_strategy ignore_labels stride"),
    "translation": (
        "text",
        "model src_lang tgt_lang clean_up_tokenization_spaces truncation generate_parameters",
    ),
    "visual-question-answering": ("image question", "model top_k"),
    "zero-shot-classification": ("text candidate_labels", "multi_label hypothesis_template model"),
    "zero-shot-image-classification": ("image candidate_labels", "model hypothesis_template"),
}
NEWER = {
    "depth-estimation",
    "image-text-to-image",
    "image-text-to-video",
    "text-to-audio",
    "video-classification",
    "zero-shot-object-detection",
}
# What a schema calls otherwise than the method does.
INPUTS = {
    "source_sentence": "sentence",
    "sentences": "other_sentences",
}

PNG = b"\x89PNG\r\n\x1a\n"
TABLE = {"city": ["Paris", "Rome"], "people": ["2", "3"]}


def test_every_task_is_declared_and_somebody_does_it() -> None:
    assert set(TASKS) >= set(PEER) | NEWER
    assert set(TASKS) >= set(DECODERS) >= set(AT_URL)
    assert set(TASKS) <= {name for row in (*PROVIDERS.values(), SERVER) for name in row.tasks}
    assert all(each.method == name.replace("-", "_") for name, each in TASKS.items())


@pytest.mark.parametrize("name", sorted(PEER))
def test_names_order_and_positions_are_the_peers(name: str) -> None:
    positional, named = (part.split() for part in PEER[name])
    declared = list(TASKS[name].signature.parameters.values())
    assert [each.name for each in declared if each.kind is each.POSITIONAL_OR_KEYWORD] == positional
    by_name = [each.name for each in declared if each.kind is each.KEYWORD_ONLY]
    assert [each for each in by_name if each in named] == named
    optional = [each for each in declared if each.name in named or each.name == "extra_body"]
    assert all(each.default is None or (each.name, each.default) == ("multi_label", False) for each in optional)


def test_the_documentation_has_every_parameter_in_order_a_link_and_the_errors() -> None:
    for declared in TASKS.values():
        arguments = declared.doc.partition("Args:")[2].partition("Returns:")[0]
        assert re.findall(r"^    (\w+): ", arguments, re.MULTILINE) == list(declared.signature.parameters)
        assert re.search(r"https://\S+", declared.doc), declared
        assert "InvalidParameterError: An argument is wrong" in declared.doc, declared
        reads_a_file = {"image", "audio", "video"} & set(declared.signature.parameters)
        assert ("InputError" in declared.doc) == bool(reads_a_file), declared
        assert declared.signature.parameters["extra_body"].default is None
        assert declared.json_schema["$ref"].endswith(f"{declared.method}_parameters")


@pytest.mark.skipif(SCHEMAS is None, reason="HEADWATER_TASK_SCHEMAS names no folder of task schemas")
@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_parameter_of_the_schema_is_one_of_ours(name: str) -> None:
    path = Path(SCHEMAS or "") / name / "input.json"
    if not path.exists():
        assert name not in PEER or name in ("audio-to-audio", "tabular-classification", "tabular-regression")
        return
    schema = json.loads(path.read_text(encoding="utf-8"))
    definitions = schema.get("$defs", {})
    parameters = next(v for k, v in definitions.items() if k.endswith("Parameters"))["properties"]
    ours = set(TASKS[name].signature.parameters)
    missing = set(parameters) - ours
    if "generation_parameters" in missing:  # text-to-speech has them one by one, as in Hugging Face's client
        missing = missing - {"generation_parameters"} | (set(get_type_hints(GenerationParameters)) - ours)
    assert not missing
    inputs = schema["properties"]["inputs"].get("properties", {})
    named = {INPUTS.get(each, each) for each in inputs}
    if name == "table-question-answering":
        named = {"table", "query"}  # the schema's `question`, as servers and Hugging Face's client call it
    assert named <= ours
    bounds = TASKS[name].json_schema["$defs"][f"{TASKS[name].method}_parameters"]["properties"]
    for parameter, described in parameters.items():
        if "enum" in described:
            assert set(described["enum"]) <= set(choices(bounds[parameter]))


@pytest.mark.skipif(SCHEMAS is None, reason="HEADWATER_TASK_SCHEMAS names no folder of task schemas")
def test_the_generation_parameters_are_the_schemas() -> None:
    path = Path(SCHEMAS or "") / "common-definitions.json"
    definitions = json.loads(path.read_text(encoding="utf-8"))["definitions"]
    assert set(definitions["GenerationParameters"]["properties"]) == set(get_type_hints(GenerationParameters))
    declared = TASKS["image-classification"].json_schema["$defs"]["image_classification_parameters"]
    enum = definitions["ClassificationOutputTransform"]["enum"]
    assert set(choices(declared["properties"]["function_to_apply"])) - {None} == set(enum)


def choices(schema: dict[str, Any]) -> list[Any]:
    return [each for branch in [schema, *schema.get("anyOf", [])] for each in branch.get("enum", [])]


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("audio-classification", (b"RIFF",), {"top_k": 3, "function_to_apply": "softmax"}),
        ("automatic-speech-recognition", (io.BytesIO(b"x"),), {"return_timestamps": "word"}),
        (
            "automatic-speech-recognition",
            ("a.flac",),
            {"generation_parameters": {"early_stopping": "never", "new": 1}},
        ),
        ("text-to-speech", ("Hi",), {"early_stopping": "never", "temperature": 0.5, "use_cache": True}),
        ("image-classification", (Path("cat.png"),), {"model": "m"}),
        ("image-classification", (Image.new("L", (2, 2)),), {}),
        ("image-classification", (numpy.zeros((2, 2, 3), "u1"),), {}),
        ("image-to-image", ("https://example.com/a.png", "a cat"), {"target_size": {"width": 1, "height": 1}}),
        ("image-to-image", (PNG,), {"target_size": TargetSize(8, 8)}),
        ("image-text-to-image", (), {"prompt": "a cat"}),
        ("image-text-to-video", (bytearray(PNG),), {"num_frames": 2.0}),
        ("text-to-video", ("a cat",), {"negative_prompt": ["dogs"]}),
        ("text-to-video", ("a cat",), {"negative_prompt": "dogs"}),
        ("document-question-answering", (PNG, "?"), {"word_boxes": ["a", [0, 1, 2.5, 3]]}),
        ("text-to-image", ("a cat",), {"extra_body": {"n": 1}}),
        ("translation", ("Hi",), {"src_lang": "en_XX", "tgt_lang": "fr_XX"}),
        ("table-question-answering", (TABLE, "?"), {"padding": "longest"}),
        ("zero-shot-classification", ("Hi", ["a"]), {"multi_label": True}),
        ("zero-shot-object-detection", (PNG, ["cat"]), {}),
    ],
)
def test_what_is_taken(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    declared = TASKS[name]
    given = declared.bind(args, kwargs)
    assert all(given[key] is value for key, value in kwargs.items())
    assert all(given[key] is value for key, value in zip(declared.positional, args, strict=False))


# What Hugging Face's methods take as `**kwargs`, in 0.28 or in 2.4.
OPEN = {"text-to-image": ("a cat",), "image-to-image": (PNG,), "image-to-video": (PNG,)}


@pytest.mark.parametrize("name", OPEN)
def test_further_words_are_the_servers_parameters(name: str) -> None:
    declared, args = TASKS[name], OPEN[name]
    given = declared.bind(args, {"model": "m", "fps": 8, "odd": None, "loras": ["a"], "extra_body": {"fps": 9, "x": 1}})
    first = dict(zip(declared.positional, args, strict=False))
    assert given == {**first, "model": "m", "extra_body": {"fps": 9, "loras": ["a"], "x": 1}}
    assert declared.bind(args, {"target": (8, 8)})["extra_body"] == {"target": (8, 8)}
    with pytest.raises(InvalidParameterError, match="guidance_scale: expected"):
        declared.bind(args, {"guidance_scale": "x", "fps": 8})
    with pytest.raises(InvalidParameterError, match="extra_body: expected"):
        declared.bind(args, {"extra_body": [], "fps": 8})
    with pytest.raises(InvalidParameterError, match="is required"):
        declared.bind((), {"fps": 8})


@pytest.mark.parametrize("name", sorted(set(TASKS) - set(OPEN)))
def test_further_words_are_refused_where_the_peer_refuses_them(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="no parameter 'qqqq'; pass it in extra_body"):
        TASKS[name].bind((), {"qqqq": 1})


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "said"),
    [
        ("image-classification", (), {}, "image_classification: 'image' is required"),
        ("image-classification", (io.StringIO("x"),), {}, "image is a text-mode file; open it with mode 'rb'"),
        ("image-classification", (3,), {}, "image must be bytes, a binary file, a path, an http(s) URL"),
        ("image-classification", (b"",), {}, "image is empty"),
        ("image-classification", (numpy.zeros((2, 2, 2), "u1"),), {}, "image must be an array of uint8"),
        ("image-classification", (PNG,), {"top_k": "1"}, "top_k: "),
        ("image-classification", (PNG,), {"topk": 1}, "no parameter 'topk'; did you mean 'top_k'?"),
        ("image-classification", (PNG,), {"function_to_apply": "exp"}, "function_to_apply: invalid enum value"),
        ("audio-classification", (Image.new("L", (2, 2)),), {}, "audio must be bytes, a binary file"),
        ("video-classification", (numpy.zeros((2, 2), "u1"),), {}, "video must be bytes, a binary file"),
        ("automatic-speech-recognition", ("a",), {"generation_parameters": {"top_k": "x"}}, "top_k: expected"),
        ("image-segmentation", (PNG,), {"subtask": "all"}, "subtask: invalid enum value 'all'"),
        ("image-to-image", (PNG,), {"target_size": {"width": 8}}, "missing required field `height`"),
        ("image-to-image", (PNG,), {"target_size": {"width": 8, "height": 0}}, "target_size.height: expected"),
        ("image-text-to-image", (), {}, "an image or a prompt is required, or both"),
        ("image-text-to-image", (io.StringIO(),), {}, "image is a text-mode file"),
        ("image-text-to-video", (None,), {"model": "m"}, "an image or a prompt is required, or both"),
        ("text-to-image", ("a cat",), {"negative_prompt": ["dogs"]}, "negative_prompt: "),
        ("text-to-image", ("a cat",), {"width": -1}, "width: "),
        ("document-question-answering", (PNG, "?"), {"word_boxes": [[1]]}, "word_boxes[0]: "),
        ("translation", ("Hi",), {"src_lang": "en_XX"}, "src_lang and tgt_lang go together"),
        ("translation", ("Hi",), {"tgt_lang": "en_XX"}, "src_lang and tgt_lang go together"),
        ("zero-shot-classification", ("Hi", []), {}, "candidate_labels: "),
        ("zero-shot-classification", ("Hi", "a,b"), {}, "candidate_labels: "),
        ("zero-shot-image-classification", (PNG, []), {}, "candidate_labels: "),
        ("sentence-similarity", ("Hi", []), {}, "other_sentences: "),
        ("tabular-regression", ({"a": [1], "b": []},), {}, "table must have columns of one length"),
        ("tabular-regression", ({},), {}, "table: "),
        ("table-question-answering", ({"a": "x"}, "?"), {}, "table[...]: "),
        ("text-to-speech", ("Hi", "m"), {}, "takes 1 positional arguments (text), 2 were given"),
        ("question-answering", ("?",), {}, "'context' is required"),
    ],
)
def test_what_is_said(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        TASKS[name].bind(args, kwargs)
    assert said in raised.value.message
