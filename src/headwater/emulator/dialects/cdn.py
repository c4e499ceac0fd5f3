"""Where results of jobs are fetched from: an origin of its own, as a vendor's CDN is.

Refuses (400) any request with a credential, which has no business there. A path says all about its file:
``/files/{seed}/64x32.png``, ``/audio.wav``, ``/video.mp4``, ``/huge-500.mp4`` (500 MB, sent as they are made)
and ``/gone.png``, a 404 in HTML. On the emulator's own port the same is found under ``/cdn``.
"""

from __future__ import annotations

import re

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, StreamAnswer, WholeAnswer, raw
from . import media
from .jobs import asked_for, megabytes, wishes_of

CREDENTIALS = ("authorization", "proxy-authorization", "cookie", "x-key", "x-api-key", "api-key")
MIME = {"png": "image/png", "wav": "audio/wav", "mp4": "video/mp4"}
PICTURE = re.compile(r"(\d{1,4})x(\d{1,4})\.png")


def link(
    call: DialectRequest, kind: str, *, model: str = "", sent: object = None, size: tuple[int, int] | None = None
) -> str:
    """The URL of the image, audio or video that answers a request."""
    words = asked_for(model or call.model, sent if sent is not None else call.json)
    return f"{call.place.cdn}/files/{call.digest('file ' + words)}/{name(kind, words, size or asked_size(sent))}"


def name(kind: str, words: str, size: tuple[int, int]) -> str:
    ending = {"image": "png", "audio": "wav", "video": "mp4"}[kind]
    if "gone" in wishes_of(words):
        return f"gone.{ending}"
    if length := megabytes(words):
        return f"huge-{length}.mp4"
    return f"{size[0]}x{size[1]}.png" if kind == "image" else f"{kind}.{ending}"


def asked_size(sent: object) -> tuple[int, int]:
    """The size of a picture as the vendors' requests ask for it: width and height, there or in a field of sizes."""
    if not isinstance(sent, dict):
        return media.SIDE, media.SIDE
    for field in ("image_size", "target_size", "input"):
        if isinstance(sent.get(field), dict):
            return asked_size(sent[field])
    if found := re.fullmatch(r"(\d{1,4})[x*](\d{1,4})", str(sent.get("size"))):
        return side(int(found[1])), side(int(found[2]))
    width, height = sent.get("width"), sent.get("height")
    return side(width), side(height)


def side(value: object) -> int:
    return value if isinstance(value, int) and 0 < value <= 4096 else media.SIDE


def file(call: DialectRequest) -> DialectAnswer:
    if any(name in call.headers for name in CREDENTIALS):
        raise refuse(call, 400, "Requests with credentials are refused: this is no place for them.")
    seed, _, found = call.path.removeprefix("/cdn").removeprefix("/files/").partition("/")
    stem, _, ending = found.partition(".")
    if ending not in MIME or stem == "gone" or "/" in stem:
        raise refuse(call, 404, "Not Found")
    if length := megabytes(stem):
        headers = {"content-length": str(length * media.PIECE)}
        return StreamAnswer(media.mp4_pieces(length), headers, MIME["mp4"])
    return WholeAnswer(content(found, seed), media_type=MIME[ending])


def content(found: str, seed: str) -> bytes:
    if picture := PICTURE.fullmatch(found):
        return media.png(side(int(picture[1])), side(int(picture[2])), seed)
    return media.wav(seed) if found.endswith("wav") else media.mp4(seed)


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    """A CDN speaks HTML."""
    page = f"<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{message}</h1></body></html>"
    return RefusedError(WholeAnswer(page, status, media_type="text/html"))


def read_only(call: DialectRequest) -> DialectAnswer:
    raise refuse(call, 405, "Method Not Allowed")


DIALECT = Dialect("cdn", (raw("GET", r"^/cdn/", file), raw("POST", r"^/cdn/", read_only)), refuse, public=True)
