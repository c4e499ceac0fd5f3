"""Images and sounds as answers: read whole, or handed over as they arrive.

A provider's flow builds the request, and one of these sends it. What is no image or no sound is refused, with the
server's own words where it sent some; nothing here decodes pixels or samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import DecodeError
from ..flow import Call, Fetch, Flow, Reply, Request, Send, Stream
from ..framing import Frame
from ..media import LARGEST, Media, from_data_url, open_image
from ..refusals import SHOWN_BYTES, decode
from ..tasks import answers

if TYPE_CHECKING:
    from PIL.Image import Image

UNASKED: Final = "application/octet-stream"


class _Picture(msgspec.Struct, frozen=True):
    b64_json: bytes | None = None
    url: str | None = None


class _Pictures(msgspec.Struct, frozen=True):
    data: list[_Picture] = []
    output: str | list[str] = []


def image(call: Call, request: Request) -> Flow[Image]:
    """An image: the body itself, or the first one that a JSON answer holds or names.

    Servers behind hf-inference's URL answer with bytes; `{"data": [{"b64_json"}]}` and `{"output": [url]}` are what
    Hugging Face's JavaScript client reads beside them:
    https://github.com/huggingface/huggingface.js/blob/main/packages/inference/src/providers/hf-inference.ts
    """
    reply: Reply = yield Send(request)
    if "json" not in reply.content_type:
        return answers.image(reply)
    found = _first(decode(reply, _Pictures))
    if found is None:
        error = DecodeError("the answer is JSON with no image in it")
        error.body = reply.body[:SHOWN_BYTES]
        raise error
    if isinstance(found, bytes):
        return open_image(found)
    if found[:5].lower() == "data:":
        return open_image(from_data_url(found)[0])
    fetched: Media = yield Fetch(request=Request(method="GET", url=found, limit=LARGEST), mime_type=UNASKED)
    return open_image(fetched)


def _first(sent: _Pictures) -> bytes | str | None:
    """The first image's bytes, or its URL."""
    if sent.data:
        return sent.data[0].b64_json or sent.data[0].url
    output = [sent.output] if isinstance(sent.output, str) else sent.output
    return output[0] if output else None


def sound(call: Call, request: Request) -> Flow[Media]:
    """A sound; in a stream its bytes are handed over as they arrive, as pieces that know their MIME type."""
    if call.stream:
        streamed: Media = yield Stream(
            request=request, framing="body", decode=Pieces().decode, fold=Joined, finish="closed", whole=True
        )
        return streamed
    return answers.sound((yield Send(request)))


class Pieces:
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


class Joined:
    """The pieces of a body, as the whole."""

    def __init__(self) -> None:
        self._pieces: list[Media] = []

    def add(self, event: Media) -> None:
        """Take the next piece."""
        self._pieces.append(event)

    def complete(self) -> bool:
        """False: nothing in a body says that it was the last piece."""
        return False

    def result(self) -> Media:
        """What came so far, in one."""
        return Media(b"".join(self._pieces), self._pieces[0].mime_type if self._pieces else None)


def whole(call: Call, request: Request) -> Flow[Any]:
    """Any other answer, as its task's result."""
    return answers.DECODERS[call.task]((yield Send(request)))
