"""What servers of the pipeline dialect answer each task with, brought to its result: a table of decoders.

The dialect is hf-inference's and Inference Endpoints', and every shape that they are recorded to send is read: one
object or a list of one, lists inside a list, two forms of zero-shot classification, media as bytes or as base64, and
all of it in another object, as model servers wrap it.
Other dialects (choices, data, jobs) are brought to these results by their providers' flows. Each object of a
result keeps its own JSON for `raw`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec

from ..errors import DecodeError, UnexpectedContentError
from ..media.images import from_text, mime_type_of, open_image
from ..media.media import Media
from ..protocol.flow import Reply
from ..protocol.json_text import is_json, is_list, loads, opening
from ..responses import message
from ..responses.decode import decode, unreadable
from ..responses.envelope import DEEPEST, read_within, unwrapped
from ..responses.message import is_html
from ..responses.refusal import EXCERPT_BYTES
from ..tasks import audio, language, multimodal, passages, tabular, video, vision, zero_shot
from ..tasks.lenient_types import NOT_SAID
from ..tasks.output import Output

if TYPE_CHECKING:
    from PIL.Image import Image

E = TypeVar("E", bound=msgspec.Struct)

Decoder = Callable[[Reply], Any]


class _LabelsAndScores(Output):
    """Zero-shot classification as it was until 2025."""

    labels: list[str]
    scores: list[float | None] | None = None


class _Text(msgspec.Struct):
    """A text under any of the names that it has as the result of other tasks."""

    generated_text: str | None = None
    summary_text: str | None = None
    translation_text: str | None = None
    text: str | None = None


def _items(reply: Reply) -> list[Reply]:
    """The items of a list, each as a reply of its own; or the only object. Nulls beside others say nothing."""
    if not is_list(reply.body):
        return [reply]
    items = decode(reply, list[msgspec.Raw])
    items = [item for item in items if bytes(item) != b"null"] or items
    return [msgspec.structs.replace(reply, body=bytes(item)) for item in items]


def _pieces(reply: Reply) -> list[Reply]:
    """The objects of an answer. Of lists in a list, as if to several inputs, the first has what the only one got."""
    pieces = _items(reply)
    while pieces and all(is_list(piece.body) for piece in pieces):
        pieces = _items(pieces[0])
    return pieces


def _all(reply: Reply, kind: type[E]) -> list[E]:
    return [decode(piece, kind) for piece in _pieces(reply)]


def _first(reply: Reply, kind: type[E]) -> E:
    pieces = _pieces(reply)
    return decode(pieces[0], kind) if pieces else _refuse(reply, "an empty list")


def _first_text(reply: Reply, kind: type[E]) -> E:
    """A text; a model of another task gives it that task's name."""
    try:
        return _first(reply, kind)
    except DecodeError:
        texts = msgspec.structs.astuple(_first(reply, _Text))
        if not (found := [text for text in texts if text is not None]):
            raise
        return kind(**{kind.__struct_fields__[0]: found[0]})


def _in_order(reply: Reply, kind: Any) -> list[Any]:
    """A value for each input; in a list of their own, or each in one, as a model's `predict` has them."""
    items = _items(reply) if is_list(reply.body) else []
    if not items or not all(is_list(item.body) for item in items):
        return decode(reply, list[kind])
    if len(items) == 1:
        return decode(items[0], list[kind])
    rows = [decode(item, list[kind]) for item in items]
    return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else _refuse(reply, "a table")


def _refuse(reply: Reply, what: str) -> NoReturn:
    error = DecodeError(f"the answer is {what}")
    error.body = reply.body[:EXCERPT_BYTES]
    raise error


def _one_or_all(reply: Reply, kind: type[E]) -> E | list[E]:
    return _all(reply, kind) if is_list(reply.body) else decode(reply, kind)


def fill_mask(
    reply: Reply,
) -> list[language.FillMaskOutputElement] | list[list[language.FillMaskOutputElement]]:
    """One list, or one a mask."""
    kind, pieces = language.FillMaskOutputElement, _items(reply)
    if pieces and all(is_list(piece.body) for piece in pieces):
        return [_all(piece, kind) for piece in pieces]
    return _all(reply, kind)


def zero_shot_classification(reply: Reply) -> list[zero_shot.ZeroShotClassificationOutputElement]:
    """[{label, score}], {labels, scores}, or the latter in a list of one."""
    pieces = _pieces(reply)
    if not pieces or b'"labels"' not in pieces[0].body:
        return _all(reply, zero_shot.ZeroShotClassificationOutputElement)
    sent = decode(pieces[0], _LabelsAndScores)
    scores = sent.scores if sent.scores is not None else [None] * len(sent.labels)
    if len(sent.labels) != len(scores):
        _refuse(reply, f"{len(sent.labels)} labels with {len(scores)} scores")
    return [
        zero_shot.ZeroShotClassificationOutputElement(label=label, score=NOT_SAID if score is None else score)
        for label, score in zip(sent.labels, scores, strict=True)
    ]


def media(reply: Reply, family: str, depth: int = 0) -> Media:
    """The body as media of this family ("audio", "video", "image"), or what a JSON body holds as base64.

    The first bytes decide what it is; the content type does where they say nothing, as of bare samples. Raises the
    `ProviderError` of an error in JSON, and `UnexpectedContentError` for anything else than this family.
    """
    kind = mime_type_of(reply.body, default=reply.content_type)
    is_page = is_html(kind, reply.body[:64])
    if "json" in kind or _is_json(reply.body):
        said = loads(bytes(decode(reply, msgspec.Raw)))  # the decoding raises the error in it, if it is one
        if isinstance(said, list) and not said:
            _refuse(reply, "an empty list")
        held = _text_in(said, family)
        if held is not None:
            return _held(held, family)
        if depth < DEEPEST and (inner := unwrapped(reply.body)) is not None:
            return media(msgspec.structs.replace(reply, body=inner), family, depth + 1)
    elif reply.body and kind.startswith(f"{family}/") and not is_page:
        return Media(reply.body, kind)
    elif kind.startswith("text/") and not is_page and (found := _as_text(reply.body, family)):
        return found
    if is_page or not reply.body:
        raise unreadable(reply, ValueError(kind))
    start = reply.body[:EXCERPT_BYTES]
    words = f": {message.one_line(start.decode(errors='replace'))}" if kind.startswith("text/") else ""
    error = UnexpectedContentError(f"the answer is {kind}, not {family}{words}")
    error.body = start
    raise error


def _text_in(said: Any, family: str, depth: int = 3) -> str | None:
    """The media of this family that JSON has as text, under its name or one that no family has.

    `audio` is what the schemas of text-to-speech and text-to-audio say, `audioContent` Google's; the others are what
    servers are seen to send.
    """
    if isinstance(said, str) or not said or not depth:
        return said or None if isinstance(said, str) else None
    if isinstance(said, list):
        return _text_in(said[0], family, depth - 1)
    own = (family, f"{family}s", f"{family}Content", f"generated_{family}")
    names = (*own, "blob", "b64_json", "base64", "data")
    found = (_text_in(said.get(name), family, depth - 1) for name in names) if isinstance(said, dict) else ()
    return next((text for text in found if text), None)


def _as_text(body: bytes, family: str) -> Media | None:
    """The media of this family that a text is; None for any other text."""
    try:
        found = Media(from_text(body.decode()))
    except (DecodeError, UnicodeDecodeError):
        return None
    return found if found.mime_type.startswith(f"{family}/") else None


def _is_json(body: bytes) -> bool:
    """Whether this is JSON, whatever it is called: samples may begin with any byte."""
    return opening(body) in ("{", "[") and is_json(body)


def _held(text: str, family: str) -> Media:
    """Media that an answer holds as text. Those of another family are refused; bytes of no known kind are not."""
    found = Media(from_text(text))
    if not found.mime_type.startswith((f"{family}/", "application/octet-stream", "video/")):
        raise UnexpectedContentError(f"the answer holds {found.mime_type}, not {family}")
    return found


def sound(reply: Reply) -> Media:
    """The body as a sound; servers that follow the schema put it into JSON, in base64."""
    return media(reply, "audio")


def image(reply: Reply) -> Image:
    """The body as a lazy PIL image, of the formats and sizes that `headwater.media` opens."""
    return open_image(media(reply, "image"))


def depth_estimation(reply: Reply) -> vision.DepthEstimationOutput:
    """An object, or the image alone."""
    if opening(reply.body) in ("{", "["):
        found = _first(reply, vision.DepthEstimationOutput)
        return _refuse(reply, "without a depth") if found.depth is None and found.predicted_depth is None else found
    return vision.DepthEstimationOutput(depth=image(reply))


DECODERS: Final[Mapping[str, Decoder]] = {
    "audio-classification": partial(_all, kind=audio.AudioClassificationOutputElement),
    "audio-to-audio": partial(_all, kind=audio.AudioToAudioOutputElement),
    "automatic-speech-recognition": partial(_first_text, kind=audio.AutomaticSpeechRecognitionOutput),
    "depth-estimation": depth_estimation,
    "document-question-answering": partial(_all, kind=multimodal.DocumentQuestionAnsweringOutputElement),
    "fill-mask": fill_mask,
    "image-classification": partial(_all, kind=vision.ImageClassificationOutputElement),
    "image-segmentation": partial(_all, kind=vision.ImageSegmentationOutputElement),
    "image-text-to-image": image,
    "image-text-to-video": partial(media, family="video"),
    "image-to-image": image,
    "image-to-text": partial(_first_text, kind=vision.ImageToTextOutput),
    "image-to-video": partial(media, family="video"),
    "object-detection": partial(_all, kind=vision.ObjectDetectionOutputElement),
    "question-answering": partial(_one_or_all, kind=passages.QuestionAnsweringOutputElement),
    "sentence-similarity": partial(_in_order, kind=float),
    "summarization": partial(_first_text, kind=language.SummarizationOutput),
    "table-question-answering": partial(_first, kind=tabular.TableQuestionAnsweringOutputElement),
    "tabular-classification": partial(_in_order, kind=str | int | float | bool),
    "tabular-regression": partial(_in_order, kind=float),
    "text-classification": partial(_all, kind=language.TextClassificationOutputElement),
    "text-to-audio": sound,
    "text-to-image": image,
    "text-to-speech": sound,
    "text-to-video": partial(media, family="video"),
    "token-classification": partial(_all, kind=language.TokenClassificationOutputElement),
    "translation": partial(_first_text, kind=language.TranslationOutput),
    "video-classification": partial(_all, kind=video.VideoClassificationOutputElement),
    "visual-question-answering": partial(_all, kind=multimodal.VisualQuestionAnsweringOutputElement),
    "zero-shot-classification": zero_shot_classification,
    "zero-shot-image-classification": partial(_all, kind=vision.ZeroShotImageClassificationOutputElement),
    "zero-shot-object-detection": partial(_all, kind=vision.ZeroShotObjectDetectionOutputElement),
}
"""By the task's name on the Hub."""


def result_of(task: str, reply: Reply) -> Any:
    """The task's result, also where it is in another object."""
    return read_within(DECODERS[task], reply)
