"""A server that repeats a key in every place of an answer, and a look at all that a caller can see of a failure."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

KEY = "hf_cANaRY/9+z~Qw3rTy7LkJhGfDs"
_RAW = KEY.encode()
FORMS = {
    "raw": KEY,
    "base64": base64.b64encode(_RAW).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(_RAW).decode().rstrip("="),
    "base64 behind Bearer": base64.b64encode(b"Bearer " + _RAW).decode(),
    "percent": quote(KEY, safe=""),
    "percent in small letters": quote(KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "a path": quote(KEY),
    "in JSON": KEY.replace("/", "\\/"),
    "its end": KEY[-8:],
}
ALL = " ".join(FORMS.values())


def held(text: str | bytes) -> list[str]:
    """The forms of the key that the text holds."""
    shown = text.decode("latin-1") if isinstance(text, bytes) else text
    return [name for name, form in FORMS.items() if form in shown]


def answer(status: int, body: str | bytes = b"", *headers: str, kind: str = "application/json") -> list[bytes]:
    sent = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(sent)}", *headers, "", ""]
    return ["\r\n".join(lines).encode() + sent]


def stream(*events: bytes, headers: str = "") -> list[bytes]:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n{headers}\r\n".encode()
    return [head, *(b"%x\r\n%b\r\n" % (len(event), event) for event in events), b"0\r\n\r\n"]


def delta(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"


_SAID = json.dumps({"error": {"message": f"Incorrect API key provided: {ALL}", "code": KEY, "type": KEY}})
_EVENT = b"data: " + json.dumps({"error": {"message": ALL, "code": KEY}}).encode() + b"\n\n"
_WHOLE = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "w"}}]})
ECHOES: dict[str, list[bytes]] = {
    "message": answer(401, _SAID),
    "text": answer(400, f"bad {ALL}", kind="text/plain"),
    "page": answer(400, f"<html><title>{KEY}</title>{ALL}</html>", kind="text/html"),
    "headers": answer(401, "{}", f"x-request-id: {KEY}", f"x-error-message: no {ALL}", f"www-authenticate: {KEY}"),
    "packed": answer(401, gzip.compress(_SAID.encode()), "content-encoding: gzip"),
    "location": answer(302, "", f"location: https://other.example/{KEY}?t={KEY}"),
    "location's host": answer(302, "", f"location: https://{KEY}.example/"),
    "reason": [f"HTTP/1.1 401 {KEY}\r\ncontent-length: 2\r\n\r\n{{}}".encode()],
    "cut": answer(500, "x" * (65536 - 20) + KEY + "y" * 1000, kind="text/plain"),
    "cut earlier": answer(500, "x" * (65536 - 10) + KEY + "y" * 1000, kind="text/plain"),
    "page with 200": answer(200, f"<html>{'x' * 491}{KEY}{ALL}</html>", kind="text/html"),
    "text with 200": answer(200, f"oops {ALL}", kind="text/plain"),
    "error with 200": answer(200, _SAID),
    "another shape": answer(200, json.dumps({"choices": ALL, KEY: 1})),
    "broken": answer(200, f'{{"choices": "{ALL}'),
    "type": answer(200, "x", kind=f"application/{KEY}"),
    "coding": answer(200, "x", f"content-encoding: {'a' * 20}{KEY}"),
    "transfer coding": [f"HTTP/1.1 200 OK\r\ntransfer-encoding: {'a' * 20}{KEY}\r\n\r\nx".encode()],
    "not HTTP": [f"{KEY} {ALL}\r\n\r\n".encode()],
    "bad header": [f"HTTP/1.1 200 OK\r\nbad {KEY} : x\r\n\r\n".encode()],
    "answer's headers": answer(200, _WHOLE, f"x-echo: {ALL}", f"x-request-id: {KEY}", f"set-cookie: a={KEY}"),
    "event": stream(delta("w"), _EVENT),
    "event of errors": stream(delta("w"), b"event: error\ndata: " + ALL.encode() + b"\n\n"),
    "event in bytes": stream(delta("w"), *(_EVENT[i : i + 1] for i in range(len(_EVENT)))),
    "broken event": stream(delta("w"), b'data: {"choices": "' + b"x" * 480 + ALL.encode() + b"\n\n"),
    "event of another shape": stream(delta("w"), b"data: " + json.dumps({"choices": [{KEY: KEY}]}).encode() + b"\n\n"),
    "stream's headers": stream(delta("w"), b"data: [DONE]\n\n", headers=f"x-echo: {ALL}\r\nx-request-id: {KEY}\r\n"),
    "broken chunk": [*stream(delta("w"))[:-1], f"zz{KEY}\r\n".encode()],
}


class EchoServer:
    """Answers every request with `ECHOES[case]`."""

    def __init__(self) -> None:
        self.case = ""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection, suppress(OSError):
                if not self._answer(connection):
                    return

    def _answer(self, connection: socket.socket) -> bool:
        asked = connection.recv(1)
        if not asked:  # `stop` has come, and takes no answer
            return False
        while asked and b"\r\n\r\n" not in asked:
            asked += connection.recv(65536)
        head, _, body = asked.partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(body) < sum(lengths):
            body += connection.recv(65536)
        for piece in ECHOES.get(self.case, ()):
            connection.sendall(piece)
        return True

    def stop(self) -> None:
        socket.create_connection(self._socket.getsockname()).close()
        self._thread.join()
        self._socket.close()


@contextmanager
def echoing() -> Iterator[EchoServer]:
    server = EchoServer()
    try:
        yield server
    finally:
        server.stop()


def leaks(error: BaseException) -> list[str]:
    """Where the key can be seen in an error: in it and what led to it, its traceback with locals, its pickle."""
    return [f"{place}: {forms}" for place, text in _shown(error) if (forms := held(text))]


def _shown(error: BaseException) -> Iterator[tuple[str, str | bytes]]:
    yield "pickle", pickle.dumps(error)
    links: list[BaseException | None] = [error]
    seen: set[int] = set()
    while links:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        links += [link.__cause__, link.__context__, *(each.error for each in getattr(link, "attempts", ()))]
        yield type(link).__name__, f"{link!r} {link} {link.args!r} {vars(link)!r} {getattr(link, '__notes__', '')}"
        summary = traceback.TracebackException(type(link), link, link.__traceback__, capture_locals=True)
        for frame in summary.stack:
            if "/tests/" not in frame.filename:
                for name, value in (frame.locals or {}).items():
                    yield f"{frame.filename}:{frame.name}:{name}", value
