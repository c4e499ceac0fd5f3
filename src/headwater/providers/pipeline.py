"""The pipeline dialect of hf-inference, Inference Endpoints and a server's own URL, for every task but the chats,
text generation and embeddings: a table of how each task travels, and the one flow that reads it.

A body is JSON, `{"inputs": ..., "parameters": {...}}`; a file alone, with no parameters, goes as raw bytes, from disk
where it is large. `extra_body` is merged into the parameters. What a server is recorded to take wins over the task's
JSON schema, and where nothing is recorded the code of Hugging Face's own server decides ("the toolkit" below). No
parameter is invented, and none is left out.

https://huggingface.co/docs/inference-providers/providers/hf-inference and
https://github.com/huggingface/huggingface-inference-toolkit
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from ..protocol.flow import LARGEST, MIB, Call, Flow, Load, Loaded, Request, TaskFlow, TaskFlowAtURL
from ..protocol.lazy import lazy_modules
from .bodies import parameters, post, take_transcript_format
from .urls import at_model

if TYPE_CHECKING:
    from . import media_results  # noqa: TC004 - loaded when it is used, below
else:
    globals().update(lazy_modules(__package__, "media_results"))

Arrange: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
ReadAnswer: TypeAlias = Callable[[Call, Request], Flow[Any]]

ALONE: Final = ""
"""The place of an input that is no member of an object, but `inputs` itself."""
JSON: Final = "application/json"
ANY: Final = "*/*"


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """How a task travels.

    `inputs`: what goes into the body's `inputs`, the parameter's name by its place there. `file`: the place of the
    input that is a file. `arrange`: brings the other parameters to the form that servers take. `accept`: the media
    type that is asked for. `answer`: sends the request and reads what comes. `limit`: the most bytes of an answer.
    `route`: what stands behind the model's URL at hf-inference.
    """

    inputs: Mapping[str, str]
    file: str | None = None
    arrange: Arrange = dict
    accept: str = JSON
    answer: ReadAnswer = lambda call, request: media_results.request_result(call, request)
    limit: int = 64 * MIB
    route: str = ""


def _generation_nested(given: dict[str, Any]) -> dict[str, Any]:
    """Text to speech: every parameter draws tokens, and the schema wants those under `generation_parameters`.

    The toolkit hands that name on to transformers as `generate_kwargs`, and refuses them flat, as the Python client
    of Hugging Face sends them: transformers' TextToAudioPipeline has no such arguments.
    """
    return {"generation_parameters": given} if given else {}


def _generation_flat(given: dict[str, Any]) -> dict[str, Any]:
    """Summarization and translation: `generate_parameters` go among the parameters.

    So they are recorded to be taken (`{"parameters": {"max_length": 100}}`); under the schema's name they would reach
    the model as one unknown argument, but for versions of the toolkit that flatten them as well.
    """
    kept = {name: value for name, value in given.items() if name != "generate_parameters"}
    return {**given.get("generate_parameters", {}), **kept}


def _text(inputs: str = "text", **more: Any) -> Pipeline:
    return Pipeline(inputs={ALONE: inputs}, **more)


def _file(inputs: str, **more: Any) -> Pipeline:
    return Pipeline(inputs={ALONE: inputs}, file=ALONE, **more)


_IMAGE: Final[dict[str, Any]] = {
    "accept": "image/png",
    "answer": lambda call, request: media_results.request_image(call, request),
    "limit": LARGEST,
}
_SOUND: Final[dict[str, Any]] = {
    "accept": ANY,
    "answer": lambda call, request: media_results.request_sound(call, request),
    "limit": LARGEST,
}
_VIDEO: Final[dict[str, Any]] = {"accept": ANY, "limit": LARGEST}
# The question stands beside the image in `inputs`, as the schemas have it and documents are recorded. Hugging Face's
# Python client sends a visual question's image twice, and the question at the root, where the toolkit never looks.
_ASKED: Final = Pipeline(inputs={"image": "image", "question": "question"}, file="image")
# Recorded with `{"data": table}`; the table at the root, as the Python client of Hugging Face sends it, has no
# `inputs`, without which the toolkit refuses a body.
_ROWS: Final = Pipeline(inputs={"data": "table"})

SERVED: Final[Mapping[str, Pipeline]] = {
    "audio-classification": _file("audio"),
    "audio-to-audio": _file("audio"),
    "automatic-speech-recognition": _file("audio"),
    "depth-estimation": _file("image"),
    "document-question-answering": _ASKED,
    "fill-mask": _text(),
    "image-classification": _file("image"),
    "image-segmentation": _file("image"),
    "image-to-image": _file("image", **_IMAGE),
    "image-to-text": _file("image"),
    "object-detection": _file("image"),
    "question-answering": Pipeline(inputs={"question": "question", "context": "context"}),
    "sentence-similarity": Pipeline(
        inputs={"source_sentence": "sentence", "sentences": "other_sentences"},
        route="/pipeline/sentence-similarity",  # the model's own task is mostly feature-extraction
    ),
    "summarization": _text(arrange=_generation_flat),
    # The schema says `question`, which is recorded to be refused (400), and `query` to be taken.
    "table-question-answering": Pipeline(inputs={"table": "table", "query": "query"}),
    "tabular-classification": _ROWS,
    "tabular-regression": _ROWS,
    "text-classification": _text(),
    "text-to-audio": _text(**_SOUND),
    "text-to-image": _text("prompt", **_IMAGE),
    "text-to-speech": _text(arrange=_generation_nested, **_SOUND),
    "token-classification": _text(),
    "translation": _text(arrange=_generation_flat),
    "video-classification": _file("video"),
    "visual-question-answering": _ASKED,
    "zero-shot-classification": _text(),
    "zero-shot-image-classification": _file("image"),
    "zero-shot-object-detection": _file("image"),
}
"""What hf-inference does; a server's own URL does all of it too."""

ELSEWHERE: Final[Mapping[str, Pipeline]] = {
    "image-text-to-image": _file("image", **_IMAGE),
    "image-text-to-video": _file("image", **_VIDEO),
    "image-to-video": _file("image", **_VIDEO),
    "text-to-video": _text("prompt", **_VIDEO),
}
"""What hf-inference has no route for, but a server's own URL may do."""

# By the names that the toolkit reads raw sound under, where the usual one is not among them.
_HEARD_AS: Final = {
    "audio/mp4": "audio/m4a",
    "video/mp4": "audio/m4a",
    "video/ogg": "audio/ogg",
    "video/webm": "audio/webm",
}


def _at_model(call: Call, pipeline: Pipeline) -> Flow[Any]:
    return (yield from _run(call, at_model(call.base, "/models/", call.model or "", pipeline.route), pipeline))


def _run(call: Call, url: str, pipeline: Pipeline) -> Flow[Any]:
    request = yield from _request(call, url, pipeline)
    return (yield from pipeline.answer(call, request))


def _request(call: Call, url: str, pipeline: Pipeline) -> Flow[Request]:
    if call.task == "automatic-speech-recognition":
        take_transcript_format(call)
    given = parameters(call)
    inputs = {place: given.pop(name) for place, name in pipeline.inputs.items() if name in given}
    sent = {**pipeline.arrange(given), **call.extra}
    if pipeline.file in inputs:
        is_bare = pipeline.file == ALONE and not sent
        loaded: Loaded = yield Load(source=inputs[pipeline.file], streamed=is_bare)
        if is_bare:
            return _raw(url, loaded, pipeline)
        inputs[pipeline.file] = binascii.b2a_base64(loaded.data, newline=False).decode()
    body: dict[str, Any] = {"inputs": inputs.get(ALONE, inputs)} if inputs else {}
    request = post(url, {**body, "parameters": sent})
    return _accepting(request, pipeline)


def _raw(url: str, loaded: Loaded, pipeline: Pipeline) -> Request:
    kind = loaded.mime_type
    if pipeline.inputs[ALONE] == "audio":
        kind = _HEARD_AS.get(kind, kind)
    body = loaded if loaded.is_stored else loaded.data
    return _accepting(Request(method="POST", url=url, headers={"content-type": kind}, body=body), pipeline)


def _accepting(request: Request, pipeline: Pipeline) -> Request:
    headers = {**request.headers, "accept": pipeline.accept}
    return msgspec.structs.replace(request, headers=headers, limit=pipeline.limit)


AT_MODEL: Final[Mapping[str, TaskFlow]] = {
    task: partial(_at_model, pipeline=pipeline) for task, pipeline in SERVED.items()
}
"""The flow of each task at hf-inference's URL of the model."""

AT_URL: Final[Mapping[str, TaskFlowAtURL]] = {
    task: partial(_run, pipeline=pipeline) for task, pipeline in {**SERVED, **ELSEWHERE}.items()
}
"""The flow of each task at a server's own URL, which is used as it is."""
