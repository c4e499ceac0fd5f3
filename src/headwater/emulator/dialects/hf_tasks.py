"""hf-inference's tasks: what each takes, and the refusal (400) of what it does not take.

The types and the words allowed are those of the tasks' JSON schemas; ``generation_parameters`` are taken both in
an object and, as Hugging Face's clients send them, beside the others. Parameters that a task does not know are
refused, but for those that make pictures, videos and sounds, whose pipelines differ too much.
https://github.com/huggingface/huggingface.js/tree/main/packages/tasks/src/tasks
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..wire import DialectRequest, RefusedError, WholeAnswer
from . import media
from .checks import fits, spoken

GENERATION = {
    "temperature": "number",
    "top_k": "integer",
    "top_p": "number",
    "typical_p": "number",
    "epsilon_cutoff": "number",
    "eta_cutoff": "number",
    "max_length": "integer",
    "max_new_tokens": "integer",
    "min_length": "integer",
    "min_new_tokens": "integer",
    "do_sample": "boolean",
    "early_stopping": "boolean or string",
    "num_beams": "integer",
    "num_beam_groups": "integer",
    "penalty_alpha": "number",
    "use_cache": "boolean",
}
GENERATED = GENERATION | {"generation_parameters": "object", "generate_kwargs": "object"}
SCORED = {"function_to_apply": "string", "top_k": "integer"}
TARGETED = {
    "prompt": "string",
    "negative_prompt": "string",
    "guidance_scale": "number",
    "num_inference_steps": "integer",
    "target_size": "object",
    "seed": "integer",
}
FILMED = TARGETED | {"num_frames": "number"}
LABELLED = {"candidate_labels": "array or string", "hypothesis_template": "string"}
WRITTEN = {
    "clean_up_tokenization_spaces": "boolean",
    "truncation": "string",
    "generate_parameters": "object",
    **GENERATION,
}

CHOICES = {
    "function_to_apply": ("sigmoid", "softmax", "none"),
    "subtask": ("instance", "panoptic", "semantic"),
    "truncation": ("do_not_truncate", "longest_first", "only_first", "only_second"),
    "padding": ("do_not_pad", "longest", "max_length"),
    "aggregation_strategy": ("none", "simple", "first", "average", "max"),
}


@dataclass(frozen=True, slots=True)
class TaskForm:
    """``takes``: what the inputs are (text, texts, image, audio, video, object, any); ``open``: whether parameters
    that are not named are let through; ``optional``: whether there may be no inputs."""

    takes: str
    types: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    open: bool = False
    optional: bool = False


TASKS = {
    "audio-classification": TaskForm("audio", SCORED),
    "audio-to-audio": TaskForm("audio", open=True),
    "automatic-speech-recognition": TaskForm("audio", GENERATED | {"return_timestamps": "boolean or string"}),
    "depth-estimation": TaskForm("image"),
    "document-question-answering": TaskForm(
        "object",
        {
            "doc_stride": "integer",
            "handle_impossible_answer": "boolean",
            "lang": "string",
            "max_answer_len": "integer",
            "max_question_len": "integer",
            "max_seq_len": "integer",
            "top_k": "integer",
            "word_boxes": "array",
        },
    ),
    "fill-mask": TaskForm("texts", {"top_k": "integer", "targets": "array"}),
    "image-classification": TaskForm("image", SCORED),
    "image-segmentation": TaskForm(
        "image",
        {
            "mask_threshold": "number",
            "overlap_mask_area_threshold": "number",
            "subtask": "string",
            "threshold": "number",
        },
    ),
    "image-text-to-image": TaskForm("image", TARGETED, open=True, optional=True),
    "image-text-to-video": TaskForm("image", FILMED, open=True, optional=True),
    "image-to-image": TaskForm("image", TARGETED, open=True),
    "image-to-text": TaskForm("image", GENERATED | {"prompt": "string"}),
    "image-to-video": TaskForm("image", FILMED, open=True),
    "object-detection": TaskForm("image", {"threshold": "number"}),
    "question-answering": TaskForm(
        "object",
        {
            "align_to_words": "boolean",
            "doc_stride": "integer",
            "handle_impossible_answer": "boolean",
            "max_answer_len": "integer",
            "max_question_len": "integer",
            "max_seq_len": "integer",
            "top_k": "integer",
        },
    ),
    "summarization": TaskForm("texts", WRITTEN),
    "table-question-answering": TaskForm(
        "any", {"padding": "string", "sequential": "boolean", "truncation": "boolean or string"}
    ),
    "tabular-classification": TaskForm("any", open=True),
    "tabular-regression": TaskForm("any", open=True),
    "text-classification": TaskForm("texts", SCORED),
    "text-to-audio": TaskForm("text", GENERATED, open=True),
    "text-to-image": TaskForm(
        "text",
        {
            "negative_prompt": "string",
            "width": "integer",
            "height": "integer",
            "guidance_scale": "number",
            "num_inference_steps": "integer",
            "scheduler": "string",
            "seed": "integer",
        },
        open=True,
    ),
    "text-to-speech": TaskForm("text", GENERATED, open=True),
    "text-to-video": TaskForm(
        "text",
        {
            "negative_prompt": "array or string",
            "num_frames": "number",
            "guidance_scale": "number",
            "num_inference_steps": "integer",
            "seed": "integer",
        },
        open=True,
    ),
    "token-classification": TaskForm(
        "texts", {"ignore_labels": "array", "stride": "integer", "aggregation_strategy": "string"}
    ),
    "translation": TaskForm("texts", WRITTEN | {"src_lang": "string", "tgt_lang": "string"}),
    "video-classification": TaskForm("video", SCORED | {"num_frames": "integer", "frame_sampling_rate": "integer"}),
    "visual-question-answering": TaskForm("any", {"top_k": "integer"}),
    "zero-shot-classification": TaskForm("texts", LABELLED | {"multi_label": "boolean"}, ("candidate_labels",)),
    "zero-shot-image-classification": TaskForm("image", LABELLED, ("candidate_labels",)),
    "zero-shot-object-detection": TaskForm("image", LABELLED, ("candidate_labels",)),
}

SIGNS = {"image": media.is_image, "audio": media.is_audio, "video": media.is_video}
MALFORMED = {"image": "Invalid image", "audio": "Malformed soundfile", "video": "Malformed video"}


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A request that was found right: its inputs, a file among them in bytes, and its parameters."""

    call: DialectRequest
    task: str
    inputs: Any
    given: Mapping[str, Any]

    @property
    def body(self) -> Mapping[str, Any]:
        return self.call.json if isinstance(self.call.json, dict) else {}


def asked(call: DialectRequest, task: str) -> TaskRequest:
    """The request, if the task takes it."""
    known = TASKS[task]
    if known.takes in SIGNS and not is_json(call):
        if known.required:
            raise wrong(f"Error in `parameters.{known.required[0]}`: field required")
        return TaskRequest(call, task, found_file(known.takes, call.body), {})
    if not isinstance(call.json, dict):
        raise RefusedError(WholeAnswer({"error": "The body is not a JSON object."}, 400))
    return TaskRequest(call, task, inputs(call.json, known), parameters(call.json, known))


def is_json(call: DialectRequest) -> bool:
    """JSON is what says so, or says nothing of what it is and can be read as such."""
    kind = call.headers.get("content-type", "")
    return kind.startswith("application/json") or (not kind and isinstance(call.json, dict))


def inputs(body: Mapping[str, Any], task: TaskForm) -> Any:
    found = body.get("inputs")
    if task.takes == "any" or (found is None and task.optional):
        return found
    if found is None:
        raise wrong("Error in `inputs`: field required")
    if task.takes in SIGNS:
        return found_file(task.takes, media.base64_of(found))
    kinds = {"text": "string", "texts": "string or array", "object": "object"}[task.takes]
    if not any(fits(found, kind) for kind in kinds.split(" or ")) or found in ("", []):
        raise wrong(f"Error in `inputs`: expected {kinds}, got {spoken(found)}")
    if isinstance(found, list) and not all(isinstance(text, str) for text in found):
        raise wrong("Error in `inputs`: str type expected")
    return found


def found_file(kind: str, data: bytes | None, where: str = "inputs") -> bytes:
    """A file's bytes, if their first ones are those of such a file."""
    if not data or not SIGNS[kind](data):
        raise wrong(f"Error in `{where}`: {MALFORMED[kind]}")
    return data


def parameters(body: Mapping[str, Any], task: TaskForm) -> dict[str, Any]:
    """The parameters that are not null, each of its type and among its choices."""
    found = {} if body.get("parameters") is None else body["parameters"]
    if not isinstance(found, dict):
        raise wrong("Error in `parameters`: value is not a valid dict")
    given = {name: value for name, value in found.items() if value is not None}
    for name in task.required:
        if not given.get(name):
            raise wrong(f"Error in `parameters.{name}`: field required")
    for name, value in given.items():
        check(task, name, value)
    return given


def check(task: TaskForm, name: str, value: object) -> None:
    if name not in task.types:
        if task.open:
            return
        raise refused(f"_sanitize_parameters() got an unexpected keyword argument '{name}'")
    if not any(fits(value, kind) for kind in task.types[name].split(" or ")):
        raise refused(f"`{name}` should be {task.types[name]}, but got {spoken(value)}")
    if isinstance(value, str) and name in CHOICES and value not in CHOICES[name]:
        raise refused(f"`{name}` should be one of {', '.join(CHOICES[name])}, but got {value!r}")
    if name == "top_k" and isinstance(value, int) and value < 1:
        raise refused("`top_k` should be at least 1")
    if name == "target_size" and not (isinstance(value, dict) and {"width", "height"} <= set(value)):
        raise refused("`target_size` should have width and height")


def wrong(message: str) -> RefusedError:
    """What is said of a field: in a list."""
    return RefusedError(WholeAnswer({"error": [message]}, 400))


def refused(message: str) -> RefusedError:
    """What a pipeline says when it fails on what it was given."""
    return RefusedError(WholeAnswer({"error": message, "warnings": [f"There was an inference error: {message}"]}, 400))
