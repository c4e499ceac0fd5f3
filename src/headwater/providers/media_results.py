"""Images and sounds as answers: read whole, or handed over as they arrive.

A provider's flow builds the request, and one of these sends it. What is no image or no sound is refused, with the
server's own words where it sent some; nothing here decodes pixels or samples.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urljoin

import msgspec

from ..errors import DecodeError
from ..media.images import LARGEST, from_text, open_image
from ..media.media import Media
from ..media.mime import sniff
from ..protocol.flow import Call, Fetch, Flow, Reply, Request, Send, Stream
from ..protocol.framing import Frame
from ..protocol.json_text import opening
from ..responses.decode import decode
from ..responses.envelope import DEEPEST, unwrapped
from ..responses.refusal import EXCERPT_BYTES
from ..tasks.lenient_types import Needed
from . import pipeline_results as answers
from .urls import is_result_url

if TYPE_CHECKING:
    from PIL.Image import Image
else:
    Image = Any

UNKNOWN_MIME_TYPE: Final = "application/octet-stream"
_PATH: Final = re.compile(r"/(?!/)[A-Za-z0-9._~%/-]{1,1000}(\?[!-~]{0,1000})?")
"""A path on the server itself; `//host` is none."""


def _rows(parameters: dict[str, Any]) -> int | None:
    """How many rows the table has; None where its columns do not agree."""
    sizes = {len(column) for column in parameters["table"].values()}
    return sizes.pop() if len(sizes) == 1 else None


_COUNTED: Final[dict[str, Callable[[dict[str, Any]], int | None]]] = {
    "sentence-similarity": lambda parameters: len(parameters["other_sentences"]),
    "tabular-classification": _rows,
    "tabular-regression": _rows,
}
"""Tasks whose answers are told apart by their place alone, and how many there are to be."""


class _Picture(msgspec.Struct, frozen=True):
    b64_json: Needed[str | None] = None
    url: Needed[str | None] = None
    image: Needed[str | None] = None
    base64: Needed[str | None] = None
    revised_prompt: str | None = None


_Named: TypeAlias = str | _Picture


class _Pictures(msgspec.Struct, frozen=True):
    """Where servers are recorded to put their images: a text is base64, a data URL or a URL."""

    data: Needed[list[_Named] | None] = None
    images: Needed[list[_Named] | None] = None
    output: Needed[str | list[_Named] | None] = None
    image: Needed[_Named | None] = None
    artifacts: Needed[list[_Named] | None] = None
    created: int | float | None = None
    usage: Any = None


class DecodedImage(msgspec.Struct, frozen=True):
    """An image of an answer, the file that it is, the URL that it came from, and the prompt that the server made of the
    caller's; the last two are None where there is none."""

    image: Image
    data: bytes
    url: str | None = None
    revised_prompt: str | None = None


class DecodedImages(msgspec.Struct, frozen=True, dict=True):
    """All images of an answer, for whoever asks for several. `created` is in epoch seconds."""

    images: list[DecodedImage]
    created: int | None = None
    usage: Any = None

    @property
    def facts(self) -> Any:
        """How this came about, if a call gave it."""
        return vars(self).get("_facts")


def request_image(call: Call, request: Request) -> Flow[Any]:
    """An image: the body itself, or the first one that a JSON answer holds or names; `DecodedImages` where several
    are wanted.

    Servers behind hf-inference's URL answer with bytes; `{"data": [{"b64_json"}]}` and `{"output": [url]}` are what
    Hugging Face's JavaScript client reads beside them:
    https://github.com/huggingface/huggingface.js/blob/main/packages/inference/src/providers/hf-inference.ts
    """
    reply: Reply = yield Send(msgspec.structs.replace(request, family="image"))
    if opening(reply.body) != "{":
        whole = answers.image(reply)
        return whole if call.wanted is None else DecodedImages([DecodedImage(whole, reply.body)])
    sent, found = _pictures(reply)
    if call.wanted is None:
        return (yield from image_at(_text_or_url(found[0]), reply.url))
    images: list[DecodedImage] = []
    for item in found:
        images += [(yield from _generated(item, reply.url))]
    return DecodedImages(images, int(sent.created) if sent.created else None, sent.usage)


def _pictures(reply: Reply, depth: int = 0) -> tuple[_Pictures, list[_Named]]:
    """An answer, also where it is in another object, and the images in it, of which there is one at least."""
    error = DecodeError("the answer is JSON with no image in it")
    try:
        sent = decode(reply, _Pictures, DEEPEST)
        if found := [item for item in _named(sent) if _text_or_url(item)]:
            return sent, found
    except DecodeError as odd:
        error = odd
    inner = unwrapped(reply.body) if depth < DEEPEST else None
    if inner is not None:
        inner = b'{"data":%b}' % inner if inner[:1] == b"[" else inner
        with suppress(DecodeError):
            return _pictures(msgspec.structs.replace(reply, body=inner), depth + 1)
    error.body = error.body or reply.body[:EXCERPT_BYTES]
    raise error


def places_of(reply: Reply) -> list[str]:
    """The images of a JSON answer: each a text that is the file, or a URL."""
    return [place for item in _named(decode(reply, _Pictures)) if (place := _text_or_url(item))]


def image_at(place: str, base: str) -> Flow[Any]:
    """The image in a text, or behind a URL."""
    return open_image((yield from _file(place, base)))


def _named(sent: _Pictures) -> list[_Named]:
    """The images of an answer, under whichever name they stand."""
    output: list[_Named] | None = [sent.output] if isinstance(sent.output, str) else sent.output
    return sent.data or sent.images or output or sent.artifacts or ([sent.image] if sent.image else [])


def _text_or_url(item: _Named) -> str:
    """The image itself as text, or its URL; "" where there is none."""
    return item if isinstance(item, str) else item.b64_json or item.url or item.image or item.base64 or ""


def _generated(item: _Named, base: str) -> Flow[DecodedImage]:
    place = _text_or_url(item)
    data = yield from _file(place, base)
    prompt = item.revised_prompt if isinstance(item, _Picture) else None
    return DecodedImage(open_image(data), data, place if is_result_url(place) else None, prompt)


def _file(place: str, base: str) -> Flow[bytes]:
    """The file in a text, or behind a URL, which some servers name by its path alone, from their own (`base`)."""
    if not is_result_url(place):
        try:
            data = from_text(place)
        except DecodeError:
            data = b""
        if not _PATH.fullmatch(place) or sniff(data) is not None:
            return data or from_text(place)
    url = place if is_result_url(place) else urljoin(base, place)
    request = Request(method="GET", url=url, limit=LARGEST, family="image")
    fetched: Media = yield Fetch(request=request, mime_type=UNKNOWN_MIME_TYPE)
    return fetched


def request_sound(call: Call, request: Request) -> Flow[Media]:
    """A sound; in a stream its bytes are handed over as they arrive, as pieces that know their MIME type."""
    if call.stream:
        streamed: Media = yield Stream(
            request=request, framing="body", decode=SoundDecoder().decode, fold=SoundFold, finish="closed", whole=True
        )
        return streamed
    return answers.sound((yield Send(msgspec.structs.replace(request, family="audio"))))


class SoundDecoder:
    """Decodes the pieces of one sound: `Media` of the type that the first one and the answer's content type tell."""

    def __init__(self) -> None:
        self._mime_type: str | None = None

    def decode(self, frame: Frame) -> Media | None:
        """The piece; a sound inside JSON is one. Raises `DecodeError` for a body that does not begin as a sound."""
        if not frame.data:
            return None
        if self._mime_type is None:
            opening = answers.sound(Reply(status=200, headers={"content-type": frame.event}, body=frame.data))
            self._mime_type = opening.mime_type
            return opening
        return Media(frame.data, self._mime_type)


class SoundFold:
    """The pieces of a body, as the whole."""

    def __init__(self) -> None:
        self._pieces: list[Media] = []

    def add(self, event: Media) -> None:
        """Take the next piece."""
        self._pieces.append(event)

    def complete(self, *, marked: bool = False) -> bool:
        """False: nothing in a body says that it was the last piece."""
        return False

    def result(self) -> Media:
        """What came so far, in one."""
        return Media(b"".join(self._pieces), self._pieces[0].mime_type if self._pieces else None)


def request_result(call: Call, request: Request) -> Flow[Any]:
    """Any other answer, as its task's result."""
    if call.task.endswith("video"):
        request = msgspec.structs.replace(request, family="video")
    reply: Reply = yield Send(request)
    found = answers.result_of(call.task, reply)
    wanted = _COUNTED[call.task](call.parameters) if call.task in _COUNTED else None
    if wanted is not None and len(found) != wanted:
        error = DecodeError(f"{wanted} answers were wanted, one for each of what was given, and {len(found)} came")
        error.body = reply.body[:EXCERPT_BYTES]
        raise error
    return found
