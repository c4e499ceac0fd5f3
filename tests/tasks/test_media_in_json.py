"""Media that an answer holds as text: base64 in every form that servers write it in, for every task that has some."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from PIL import Image

from headwater.errors import DecodeError, HeadwaterError
from headwater.media.media import Media
from headwater.protocol.flow import Reply
from headwater.providers.pipeline_results import DECODERS


def _png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (255, 0, 0)).save(file, "PNG")
    return file.getvalue()


PNG: Final = _png()
SOUND: Final = b"fLaC" + bytes(range(255, 190, -1))
VIDEO: Final = b"\x00\x00\x00\x18ftypisom" + bytes(range(255, 190, -1))

FORMS: Final[dict[str, Callable[[bytes, str], str]]] = {
    "plain": lambda data, kind: base64.b64encode(data).decode(),
    "data URL": lambda data, kind: f"data:{kind};base64,{base64.b64encode(data).decode()}",
    "lines": lambda data, kind: base64.encodebytes(data).decode(),
    "unpadded": lambda data, kind: base64.b64encode(data).decode().rstrip("="),
    "for URLs": lambda data, kind: base64.urlsafe_b64encode(data).decode().rstrip("="),
}
ANSWERS: Final[dict[str, tuple[bytes, str, Callable[[str], Any]]]] = {
    "audio-to-audio": (SOUND, "audio/flac", lambda text: [{"label": "a", "blob": text, "content-type": "audio/flac"}]),
    "depth-estimation": (PNG, "image/png", lambda text: {"depth": text, "predicted_depth": [[1]]}),
    "image-segmentation": (PNG, "image/png", lambda text: [{"label": "a", "score": 1, "mask": text}]),
    "image-text-to-image": (PNG, "image/png", lambda text: {"image": text}),
    "image-text-to-video": (VIDEO, "video/mp4", lambda text: {"video": text}),
    "image-to-image": (PNG, "image/png", lambda text: {"image": text}),
    "image-to-video": (VIDEO, "video/mp4", lambda text: [{"video": text}]),
    "text-to-audio": (SOUND, "audio/flac", lambda text: [{"audio": text, "sampling_rate": 16000}]),
    "text-to-image": (PNG, "image/png", lambda text: {"image": text}),
    "text-to-speech": (SOUND, "audio/flac", lambda text: {"audio": text, "sampling_rate": 16000}),
    "text-to-video": (VIDEO, "video/mp4", lambda text: {"video": text}),
}


def found_in(result: Any) -> Any:
    element = result[0] if isinstance(result, list) else result
    for name in ("blob", "mask", "depth"):
        element = getattr(element, name, element)
    return element


def answer(task: str, text: str, content_type: str = "application/json") -> Any:
    body = json.dumps(ANSWERS[task][2](text)).encode()
    return found_in(DECODERS[task](Reply(status=200, headers={"content-type": content_type}, body=body)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", ANSWERS)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "image/png"])
def test_every_form(task: str, form: str, content_type: str) -> None:
    if content_type != "application/json" and task == "depth-estimation":
        pytest.skip("an image alone has the label of one")
    data, kind, _ = ANSWERS[task]
    found = answer(task, FORMS[form](data, kind), content_type)
    if kind == "image/png":
        assert (found.size, found.convert("RGB").getpixel((0, 0))) == ((5, 4), (255, 0, 0))
    else:
        assert (found, found.mime_type, type(found)) == (data, kind, Media)


@pytest.mark.parametrize("task", ANSWERS)
@pytest.mark.parametrize("text", ["!!", "A", "data:image/png;base64,A", "<html>"])
def test_rubbish_is_said_to_be_that(task: str, text: str) -> None:
    with pytest.raises(DecodeError) as raised:
        answer(task, text)
    assert isinstance(raised.value, HeadwaterError)
    assert any(word in raised.value.message for word in ("base64", "image", "data URL"))
