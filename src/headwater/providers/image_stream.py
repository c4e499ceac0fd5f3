"""A stream of one image: as far as it is made, and at its end the whole one, in OpenAI's events.

The stream is whole when an event says that the image is completed. A server that ignores `stream` and answers with
JSON is read as one that sent the last event alone.

https://platform.openai.com/docs/api-reference/images-streaming
"""

from __future__ import annotations

from typing import Any, Final, Self

import msgspec

from ..errors import MalformedEventError
from ..media.images import from_text, open_image
from ..protocol.flow import END, End, Flow, Reply, Request, Stream
from ..protocol.framing import DONE, EVENT_STREAM, WHOLE, Frame
from ..protocol.json_text import UNREADABLE
from ..responses.json_decoder import decode_json
from ..responses.refusal import EXCERPT_BYTES, error_in_body, error_in_place_of_answer
from ..tasks.image_generation import ImageStreamOutput
from .media_results import image_at, places_of
from .urls import is_result_url

_COMPLETED: Final = ".completed"
_NULL: Final = b"null"


def stream_image(request: Request) -> Flow[Any]:
    """The image, its events handed over as they come."""
    streamed = msgspec.structs.replace(request, headers={**request.headers, "accept": EVENT_STREAM})
    images = ImageEvents()
    image: Any = yield Stream(
        request=streamed,
        framing="sse",
        decode=images.decode,
        fold=images.restart,
        whole=True,
        then=lambda fold: fold.rest(request.url),
    )
    return image


class ImageEvents:
    """One stream's reader and fold in one."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> Self:
        """Forget what was read: a stream that failed before its first event is asked for anew."""
        self._last: ImageStreamOutput | None = None
        self._url: str | None = None
        self._whole = False
        return self

    # -- reading

    def decode(self, frame: Frame) -> ImageStreamOutput | End | None:
        """An event. Raises the error that it is, or `MalformedEventError`."""
        if frame.event in WHOLE:
            return self._from_answer(frame)
        data = frame.data.strip()
        if not data or data in (DONE, _NULL):
            return END if data == DONE else None
        if (b'"error"' in data or frame.event == "error") and (error := error_in_body(data, event=frame.event)):
            raise error
        event = _event(data)
        event.type = event.type or frame.event
        if not event.b64_json and (error := error_in_place_of_answer(data, sure=False)) is not None:
            raise error
        return event

    def _from_answer(self, frame: Frame) -> ImageStreamOutput:
        """An answer that is no stream, as the last event."""
        reply = Reply(status=200, headers={"content-type": frame.event}, body=frame.data)
        places = places_of(reply)
        if not places:
            error = MalformedEventError("the answer is JSON with no image in it")
            error.body = frame.data[:EXCERPT_BYTES]
            raise error
        if is_result_url(places[0]):
            self._url = places[0]
            return ImageStreamOutput(type=f"image{_COMPLETED}")
        return ImageStreamOutput(type=f"image{_COMPLETED}", b64_json=places[0])

    # -- folding

    def add(self, event: ImageStreamOutput) -> None:
        """Take the next event."""
        self._whole = self._whole or event.type.endswith(_COMPLETED)
        if event.b64_json:
            self._last = event

    def complete(self, *, marked: bool = False) -> bool:
        """Whether the server has said that the image is completed."""
        return self._whole

    def result(self) -> Any:
        """The last image that came; None where none did."""
        return None if self._last is None or not self._last.b64_json else open_image(from_text(self._last.b64_json))

    def rest(self, base: str) -> Flow[Any] | None:
        """What is still to be fetched: the image, where the answer named it by its URL."""
        return None if self._url is None else image_at(self._url, base)


def _event(data: bytes) -> ImageStreamOutput:
    try:
        event = decode_json(data, ImageStreamOutput)
    except UNREADABLE as failure:
        error = MalformedEventError(f"an event of the stream cannot be read: {failure}")
        error.body = data[:EXCERPT_BYTES]
        raise error from None
    vars(event)["_body"] = data
    return event
