"""The fault `recorded`: answers from a cassette, as they were recorded, or cut at any byte.

The format is that of `headwater.testing.cassette`, read here anew: this package shares nothing with the library. What
is masked there, or is there as a digest alone, matches whatever is asked.
"""

import base64
import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import responses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headwater.emulator.fault_server.wire import FaultConnection, Request

VERSION = 1
BODIES = ("json", "text", "multipart", "binary")
HOWS = ("reset", "close", "stall", "end")
_UNKNOWN = re.compile(r"\[secret\]|(?:[0-9a-f]{8})?\*{4,}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64} of \d+ characters\Z")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


@dataclass(slots=True)
class Recorded:
    """One exchange of a cassette. `pieces`: each with the seconds from the request to it."""

    method: str
    url: str
    kind: str = ""
    body: Any = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    head_at: float = 0.0
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    end: str = ""

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_chunked(self) -> bool:
        return "content-length" not in self.headers

    def answers(self, request: Request) -> bool:
        """Whether it is this request's."""
        if self.method != request.method or not _same(self.url.removeprefix(self.origin), request.rest):
            return False
        if self.kind != "json":
            return self.kind != "text" or _same(self.body, request.body.decode(errors="replace"))
        try:
            return _same(self.body, json.loads(request.body))
        except ValueError:
            return False


class CassettePlayer:
    """Answers from the cassette at `path`. Raises ValueError where that is none, OSError where it cannot be read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._exchanges = read(Path(path))
        self._origins = {exchange.origin for exchange in self._exchanges}
        self._lock = threading.Lock()
        self._played: Counter[int] = Counter()

    def play(
        self, conn: FaultConnection, request: Request, cut: int = -1, how: str = "reset", times: float = 0.0
    ) -> None:
        """Answer. `cut`: the byte of the body before which it ends; `how`: reset, close, stall, end (as if whole)."""
        exchange = self._next(request)
        if exchange is None or how not in HOWS:
            wrong = "the cassette has no such request" if exchange is None else f"how is one of {', '.join(HOWS)}"
            conn.reply(404 if exchange is None else 400, "application/json", json.dumps({"error": wrong}).encode())
            return
        base, began = f"http://{request.headers['host']}/{request.fault}", time.monotonic()
        pieces = _led_back(exchange.pieces, self._origins, base)
        size = sum(len(piece) for _, piece in pieces)
        is_cut = 0 <= cut < size
        if exchange.status:
            conn.pause(exchange.head_at * times)
            conn.send(_head(exchange, self._origins, base, cut if is_cut and how == "end" else size))
        for at, piece in _first(pieces, cut if is_cut else size):
            conn.pause(began + at * times - time.monotonic())
            (conn.chunk if exchange.is_chunked else conn.send)(piece)
        _finish(conn, how if is_cut else exchange.end, is_chunked=exchange.is_chunked)

    def _next(self, request: Request) -> Recorded | None:
        """The n-th answer to the n-th request of a kind, and the last one from then on."""
        found = [exchange for exchange in self._exchanges if exchange.answers(request)]
        if not found:
            return None
        with self._lock:
            self._played[id(found[0])] += 1
            return found[min(self._played[id(found[0])], len(found)) - 1]


# -- answers


def _head(exchange: Recorded, origins: set[str], base: str, size: int) -> bytes:
    """The head as it was, but for how the body is framed, and with links that lead back here."""
    lines = [f"HTTP/1.1 {exchange.status} {responses.get(exchange.status, 'Unknown')}"]
    for name, value in exchange.headers.items():
        if name not in _FRAMING:
            lines.append(f"{name}: {_links(value.encode('latin-1', 'replace'), origins, base).decode('latin-1')}")
    lines.append("transfer-encoding: chunked" if exchange.is_chunked else f"content-length: {size}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _finish(conn: FaultConnection, how: str, *, is_chunked: bool) -> None:
    if how in ("whole", "end"):
        if is_chunked:
            conn.end_chunks()
    elif how in ("stall", "left"):
        conn.hang()
    elif how == "close":
        conn.close()
    else:
        conn.reset()


def _first(pieces: list[tuple[float, bytes]], size: int) -> list[tuple[float, bytes]]:
    """The pieces up to this byte."""
    kept = []
    for at, piece in pieces:
        kept.append((at, piece[:size]))
        size -= len(piece)
        if size <= 0:
            break
    return kept


def _led_back(pieces: list[tuple[float, bytes]], origins: set[str], base: str) -> list[tuple[float, bytes]]:
    """The pieces, in which links to the hosts that were recorded lead to this server. A link is the piece's in which
    it begins."""
    whole = b"".join(piece for _, piece in pieces)
    found = list(_pattern(origins).finditer(whole))
    if not found:
        return pieces
    led, start = [], 0
    for at, piece in pieces:
        end, text, place = start + len(piece), b"", start
        for link in found:
            if link.end() > start and link.start() < end:
                text += whole[place : max(place, link.start())]
                text += _link(link[0], base) if link.start() >= start else b""
                place = link.end()
        led.append((at, text + whole[place:end]))
        start = end
    return led


def _links(text: bytes, origins: set[str], base: str) -> bytes:
    return _pattern(origins).sub(lambda found: _link(found[0], base), text)


def _pattern(origins: set[str]) -> re.Pattern[bytes]:
    """Any of the origins, also as JSON may write it, at which a path, a query or nothing follows."""
    spelled = [re.escape(origin.encode()).replace(b"/", rb"\\?/") for origin in origins]
    return re.compile(rb"(?:" + b"|".join(sorted(spelled)) + rb")(?![\w.:-])")


def _link(found: bytes, base: str) -> bytes:
    link = base.encode()
    return link.replace(b"/", rb"\/") if rb"\/" in found else link


# -- requests


def _same(recorded: Any, asked: Any) -> bool:
    """Whether two JSON values are the same, but for what the recording does not know."""
    if isinstance(recorded, dict) and isinstance(asked, dict):
        return recorded.keys() == asked.keys() and all(_same(value, asked[name]) for name, value in recorded.items())
    if isinstance(recorded, list) and isinstance(asked, list):
        return len(recorded) == len(asked) and all(map(_same, recorded, asked))
    if isinstance(recorded, str) and isinstance(asked, str):
        return recorded == asked or bool(_DIGEST.match(recorded)) or _matches(recorded, asked)
    return bool(recorded == asked) and isinstance(recorded, bool) == isinstance(asked, bool)


def _matches(recorded: str, asked: str) -> bool:
    parts = _UNKNOWN.split(recorded)
    return len(parts) > 1 and re.fullmatch(".+".join(map(re.escape, parts)), asked, re.DOTALL) is not None


# -- the file


def read(path: Path) -> list[Recorded]:
    """The exchanges of a cassette that is whole. Raises ValueError, which names the line, and OSError."""
    exchanges: list[Recorded] = []
    folder = path.with_name(path.name.removesuffix(".jsonl") + ".media")
    begun = False
    for number, text in enumerate(path.read_bytes().split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            if begun:
                _take(exchanges, line, folder)
            elif line["headwater_cassette"] != VERSION:
                raise ValueError(f"it is no cassette of version {VERSION}")
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}") from error
        begun = True
    if not begun or not all(exchange.end for exchange in exchanges):
        raise ValueError(f"{path} is not whole: it is empty, or an exchange has no end")
    return exchanges


def _take(exchanges: list[Recorded], line: dict[str, Any], folder: Path) -> None:
    """Add what a line says to the exchanges before. Raises many things for a line that is none."""
    if "request" in line:
        kind = next((kind for kind in BODIES if kind in line), "")
        urlsplit(line["url"])
        exchanges.append(Recorded(line["method"], line["url"], kind, line.get(kind)))
        return
    at, exchange = line["at"] + 0.0, exchanges[-1]
    if "head" in line:
        exchange.status, exchange.head_at = line["head"] + 0, at
        exchange.headers = {name: "" + value for name, value in line["headers"].items()}
    elif "data" in line:
        exchange.pieces.append((at, _bytes(line["data"], folder)))
    else:
        exchange.end = line["end"]


def _bytes(data: str | list[Any] | Mapping[str, Any], folder: Path) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, list):
        return b"".join(_bytes(part, folder) for part in data)
    if "raw" in data:
        return base64.b64decode(data["raw"], validate=True)
    stored = (folder / Path(data.get("file") or data["base64"]).name).read_bytes()
    whole = stored if "file" in data else base64.b64encode(stored)
    return whole[data.get("from", 0) : data.get("to", len(whole))]
