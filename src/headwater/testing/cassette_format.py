"""The file of a cassette: JSON lines, one for each thing that happened, so that a diff shows which piece has changed.

    {"headwater_cassette": 1}
    {"request": "5f0c6a1e", "method": "POST", "url": "https://host/v1/chat/completions", "json": {...}}
    {"head": 200, "headers": {"content-type": "text/event-stream"}, "at": 0.31}
    {"data": "data: {...}\\n\\n", "at": 0.312}
    {"end": "whole", "at": 0.9}

`at` is in seconds since the request was sent. `end` says how the answer ended: "whole"; "reset", the connection was
lost; "error", anything else that was raised; "stall", the client gave up while it waited; "left", it went between two
reads. `after` names exchanges that had begun by then, in a race of a call and its hedge. Exchanges stand in an order of
their own (`RequestForm.order`), not that of time, which another loop, or a busier machine, would change.

Media is in a folder beside the file, in files that are named by their content: `{"data": {"file": ...}}` is some bytes
of one, `{"base64": ...}` the same as text inside JSON. `data` is a text, one of those, `{"raw": ...}` (base64 of bytes
that are no text), or a list of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from ..media.mime import UNKNOWN, mime_type_of, suffix_of
from .request_form import RequestForm

_VERSION: Final = 1
_NAME: Final = "headwater_cassette"
_ADDRESS: Final = 16
_STORED: Final = re.compile(rf"[0-9a-f]{{{_ADDRESS}}}\.[a-z0-9]+\Z")
_ID: Final = 8
BODIES: Final = ("json", "text", "multipart", "binary")
_Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{2048,}={0,2}")
_TEXT: Final = re.compile(r"text/|.*(?:json|xml|javascript|urlencoded|event-stream)")


class CassetteError(AssertionError):
    """What was asked is not what was recorded, or there is no recording that could be played.

    It is no `HeadwaterError`: no retry and no other provider would help, and no program takes it for the network's.
    """


class ReplayMoment(msgspec.Struct):
    """`at`: seconds since the request. `after`: exchanges of the same race that had begun by then."""

    at: float = 0.0
    after: list[RecordedExchange] = []


class RecordedPiece(msgspec.Struct):
    """A piece of a body, as it came."""

    data: bytes
    moment: ReplayMoment


class RecordedExchange(msgspec.Struct, eq=False, kw_only=True):
    """A request and all that came of it. `error`: what was raised at its end, as its class's name, its message, and
    what else it knows. `surplus`: more came than the answer's length."""

    form: RequestForm
    status: int = 0
    headers: dict[str, str] = {}
    head: ReplayMoment | None = None
    pieces: list[RecordedPiece] = []
    end: str = ""
    ended: ReplayMoment = msgspec.field(default_factory=ReplayMoment)
    error: dict[str, Any] | None = None
    surplus: bool = False

    @property
    def silence(self) -> float:
        """Seconds for which nothing came before its end."""
        before = self.pieces[-1].moment if self.pieces else self.head
        return self.ended.at - (before.at if before is not None else 0.0)


def media_folder(path: Path) -> Path:
    """Where the media of a cassette is."""
    return path.with_name(path.name.removesuffix(".jsonl") + ".media")


# -- writing


def check_place(path: Path) -> None:
    """Raise `CassetteError` where no file could be written, before anything is asked that is paid for."""
    try:
        folder = next(each for each in path.absolute().parents if each.exists())
        may = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) and not path.is_dir()
    except OSError as error:
        raise CassetteError(f"{path} cannot be written: {error}") from error
    if not may:
        raise CassetteError(f"{path} cannot be written: it is a folder, or {folder} is none that may be written into")


def save_cassette(path: Path, exchanges: Iterable[RecordedExchange]) -> None:
    """Write a cassette and its media, the file itself last and at once: there is a whole one, or the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    media: dict[str, bytes] = {}
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in _lines(exchanges, media))
    folder = media_folder(path)
    for name, data in media.items():
        if not (folder / name).exists():
            folder.mkdir(exist_ok=True)
            _write(folder / name, data)
    _write(path, text.encode("utf-8", "backslashreplace"))  # half of a surrogate pair, as JSON writes it
    if folder.is_dir():
        _drop_others(folder, media)


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _drop_others(folder: Path, media: Mapping[str, bytes]) -> None:
    """Delete the media of the recording before."""
    for file in folder.iterdir():
        if file.name not in media and _STORED.match(file.name):
            file.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _lines(exchanges: Iterable[RecordedExchange], media: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    in_order = sorted(exchanges, key=lambda exchange: exchange.form.order())
    names = _names(in_order)
    yield {_NAME: _VERSION}
    for exchange in in_order:
        form = exchange.form
        line = {"request": names[id(exchange)], "method": form.method, "url": form.url}
        yield {**line, form.kind: form.body} if form.kind else line
        if exchange.head is not None:
            head = {"head": exchange.status, "headers": exchange.headers}
            yield {**head, **_moment(exchange.head, names)}
        parts = _parts(exchange, media)
        for piece, data in zip(exchange.pieces, parts, strict=True):
            yield {"data": data, **_moment(piece.moment, names)}
        more = {"surplus": True} if exchange.surplus else {}
        yield {"end": exchange.end, **(exchange.error or {}), **more, **_moment(exchange.ended, names)}


def _names(exchanges: Iterable[RecordedExchange]) -> dict[int, str]:
    """A name for each, which another request in the file does not change."""
    names: dict[int, str] = {}
    seen: dict[str, int] = {}
    for exchange in exchanges:
        name = hashlib.sha256(exchange.form.key().encode()).hexdigest()[:_ID]
        seen[name] = seen.get(name, 0) + 1
        names[id(exchange)] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return names


def _moment(moment: ReplayMoment, names: Mapping[int, str]) -> dict[str, Any]:
    at = {"at": round(moment.at, 3)}
    return {**at, "after": [names[id(one)] for one in moment.after]} if moment.after else at


def _parts(exchange: RecordedExchange, media: dict[str, bytes]) -> list[Any]:
    """What each of the pieces has, as it is written; what of it is media goes into `media`."""
    body = b"".join(piece.data for piece in exchange.pieces)
    spans = _spans(body, exchange.headers.get("content-type", ""), media)
    parts, start = [], 0
    for piece in exchange.pieces:
        end = start + len(piece.data)
        inside = list(_inside(body, spans, start, end))
        parts.append(inside[0] if len(inside) == 1 else inside)
        start = end
    return parts


_Span = tuple[int, int, str, str]
"""From where to where a body is media, whether as a "file" or as "base64", and the file's name."""


def _spans(body: bytes, content_type: str, media: dict[str, bytes]) -> list[_Span]:
    kind = content_type.partition(";")[0].strip().lower()
    if body and not _is_text(body, kind):
        name = _stored(body, mime_type_of(body, default=kind or UNKNOWN), media)
        return [(0, len(body), "file", name)]
    spans = []
    for found in _BASE64.finditer(body):
        digits = found[0][: len(found[0]) // 4 * 4]
        data = base64.b64decode(digits)
        if base64.b64encode(data) == digits:
            end = found.start() + len(digits)
            spans.append((found.start(), end, "base64", _stored(data, mime_type_of(data), media)))
    return spans


def _is_text(body: bytes, kind: str) -> bool:
    if kind:
        return bool(_TEXT.match(kind))
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _stored(data: bytes, mime_type: str, media: dict[str, bytes]) -> str:
    name = hashlib.sha256(data).hexdigest()[:_ADDRESS] + suffix_of(mime_type)
    media[name] = data
    return name


def _inside(body: bytes, spans: Iterable[_Span], start: int, end: int) -> Iterator[Any]:
    """The parts of a piece, which is the body from `start` to `end`."""
    place = start
    for first, last, how, name in spans:
        if last <= place or first >= end:
            continue
        if first > place:
            yield _text(body[place:first])
        upto = min(last, end)
        whole = {how: name}
        yield (
            whole
            if max(place, first) == first and upto == last
            else {
                **whole,
                "from": max(place, first) - first,
                "to": upto - first,
            }
        )
        place = upto
    if place < end:
        yield _text(body[place:end])


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:  # a letter that came in two pieces, or no text at all
        return {"raw": base64.b64encode(data).decode()}


# -- reading


class _RequestLine(msgspec.Struct):
    """The line that begins an exchange; one of the bodies at most."""

    request: str
    method: str
    url: str
    json: Any = msgspec.UNSET
    text: Any = msgspec.UNSET
    multipart: Any = msgspec.UNSET
    binary: Any = msgspec.UNSET

    def exchange(self) -> RecordedExchange:
        bodies = {kind: body for kind in BODIES if (body := getattr(self, kind)) is not msgspec.UNSET}
        kind, body = next(iter(bodies.items()), ("", None))
        return RecordedExchange(form=RequestForm(method=self.method, url=self.url, kind=kind, body=body), pieces=[])


class _HeadLine(msgspec.Struct):
    head: Annotated[int, msgspec.Meta(ge=100, le=999)]
    headers: dict[str, str]
    at: _Seconds
    after: list[str] = []


class _MediaPart(msgspec.Struct, rename={"start": "from", "end": "to"}):
    """What stands in `data` for bytes that are no text, or are in a file."""

    raw: str | None = None
    file: str = ""
    base64: str = ""
    start: Annotated[int, msgspec.Meta(ge=0)] = 0
    end: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _DataLine(msgspec.Struct):
    data: str | _MediaPart | list[str | _MediaPart]
    at: _Seconds
    after: list[str] = []


class _EndLine(msgspec.Struct):
    end: Literal["whole", "reset", "error", "stall", "left"]
    at: _Seconds
    after: list[str] = []
    surplus: bool = False
    error: str | None = None
    message: str = ""


_LINES: Final[Mapping[str, type[_RequestLine | _HeadLine | _DataLine | _EndLine]]] = {
    "request": _RequestLine,
    "head": _HeadLine,
    "data": _DataLine,
    "end": _EndLine,
}


def load_cassette(path: Path) -> list[RecordedExchange]:
    """The exchanges of a cassette. Raises `CassetteError` where it is none, or not whole, and `OSError`."""
    reader, lines = _Reader(path), path.read_bytes().split(b"\n")
    try:
        for line in lines:
            reader.number += 1
            if line.strip():
                reader.read(json.loads(line))
        reader.end()
    except (ValueError, msgspec.MsgspecError, RecursionError, OSError) as error:
        why: object = "it is no JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else error
        why = "it is nested too deeply" if isinstance(error, RecursionError) else why
        raise CassetteError(f"{path}, line {reader.number}: {why}") from error
    return list(reader.exchanges.values())


class _Reader:
    """Puts a cassette's lines together; `number`: of the newest one.

    Its methods raise `ValueError`, and `OSError` where media cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.exchanges: dict[str, RecordedExchange] = {}
        self.number = 0
        self._folder = media_folder(path)
        self._media: dict[str, bytes] = {}
        self._races: list[tuple[ReplayMoment, list[str]]] = []
        self._exchange: RecordedExchange | None = None
        self._is_begun = False

    def read(self, line: Any) -> None:
        """Take the next line."""
        if not self._is_begun:
            _check_version(line)
            self._is_begun = True
            return
        kind = next((kind for name, kind in _LINES.items() if isinstance(line, dict) and name in line), None)
        if kind is None:
            raise ValueError(f"it has none of {', '.join(_LINES)}")
        read = msgspec.convert(line, kind)
        if isinstance(read, _RequestLine):
            self._begin(read)
        elif self._exchange is None or self._exchange.end:
            raise ValueError("it belongs to no request")
        else:
            self._add(self._exchange, read, line)

    def _begin(self, line: _RequestLine) -> None:
        self._check_end()
        if line.request in self.exchanges:
            raise ValueError(f"there are two exchanges of the name {line.request}")
        self._exchange = self.exchanges[line.request] = line.exchange()

    def _add(self, exchange: RecordedExchange, line: _HeadLine | _DataLine | _EndLine, whole: dict[str, Any]) -> None:
        moment = ReplayMoment(line.at)
        self._races.append((moment, line.after))
        if isinstance(line, _HeadLine):
            if exchange.head is not None:
                raise ValueError("its exchange has two heads")
            exchange.status, exchange.headers, exchange.head = line.head, line.headers, moment
        elif isinstance(line, _DataLine):
            if exchange.head is None:
                raise ValueError("its exchange has no head")
            exchange.pieces.append(RecordedPiece(self._bytes(line.data), moment))
        else:
            exchange.end, exchange.ended, exchange.surplus = line.end, moment, line.surplus
            exchange.error = _error_of(line, whole, exchange)

    def end(self) -> None:
        """There are no more lines."""
        if not self._is_begun:
            raise ValueError("the file is empty")
        self._check_end()
        for moment, names in self._races:
            if unknown := [name for name in names if name not in self.exchanges]:
                raise ValueError(f"a race is with an exchange {unknown[0]}, which there is not")
            moment.after = [self.exchanges[name] for name in names]

    def _check_end(self) -> None:
        if self._exchange is not None and not self._exchange.end:
            raise ValueError("the exchange before has no end: the file is not whole")

    def _bytes(self, data: str | _MediaPart | list[str | _MediaPart]) -> bytes:
        if isinstance(data, str):
            return data.encode("utf-8", "surrogatepass")
        if isinstance(data, list):
            return b"".join(map(self._bytes, data))
        if data.raw is not None:
            return base64.b64decode(data.raw, validate=True)
        whole = self._stored(data.file) if data.file else base64.b64encode(self._stored(data.base64))
        return whole[data.start : data.end]

    def _stored(self, name: str) -> bytes:
        if not _STORED.match(name):
            raise ValueError(f"{name!r} is no file of a cassette's")
        if name not in self._media:
            data = (self._folder / name).read_bytes()
            if not hashlib.sha256(data).hexdigest().startswith(name.partition(".")[0]):
                raise ValueError(f"{name} is not what was recorded")
            self._media[name] = data
        return self._media[name]


def _check_version(line: Any) -> None:
    version = line.get(_NAME) if isinstance(line, dict) else None
    if type(version) is int and version > _VERSION:
        raise ValueError(f"a newer release has written this cassette (version {version}; this one reads {_VERSION})")
    if version != _VERSION:
        raise ValueError("this is no cassette")


def _error_of(line: _EndLine, whole: dict[str, Any], exchange: RecordedExchange) -> dict[str, Any] | None:
    """What was raised at an exchange's end; a person who writes "reset" by hand need not say more."""
    if line.error is None:
        if line.end == "error" or (line.end == "whole" and exchange.head is None):
            raise ValueError(f'the end is "{line.end}", of nothing')
        return {"error": "ConnectionLostError", "message": "the connection was lost"} if line.end == "reset" else None
    facts = {name: value for name, value in whole.items() if name not in _EndLine.__struct_fields__}
    return {"error": line.error, "message": line.message, **facts}
