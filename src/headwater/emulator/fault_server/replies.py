"""Faults of the connection, the response head, the status and redirects; each works for every request.

Refuses nothing: what a fault does is its docstring's first line or the line in the table of `faults`.
"""

import email.utils
import json
import math
import time
from itertools import count

from headwater.emulator.fault_server.answers import JSON, answer
from headwater.emulator.fault_server.wire import FaultConnection, Request

HTML = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"
KEY_WORDS = ("auth", "key", "token", "cookie")


def ok(conn: FaultConnection, request: Request, pause: float = 0.0) -> None:
    right = answer(request)
    if right.streamed:
        conn.stream(right.parts, pause)
    else:
        conn.reply(200, right.content_type, right.body)


def _error(conn: FaultConnection, status: int, *fields: tuple[str, str], **extra: object) -> None:
    body = {"error": {"message": f"fault {status}", "type": "fault", "code": status}, **extra}
    conn.reply(status, JSON, json.dumps(body).encode(), *fields)


# the connection


def reset_before_response(conn: FaultConnection, request: Request) -> None:
    conn.reset()


def reset_first(conn: FaultConnection, request: Request, n: int = 1) -> None:
    return conn.reset() if conn.first(request, n) else ok(conn, request)


def fin_before_response(conn: FaultConnection, request: Request) -> None:
    conn.close()


def fin_after_response(conn: FaultConnection, request: Request) -> None:
    ok(conn, request)
    conn.close()


def stale_keepalive(conn: FaultConnection, request: Request, n: int = 1) -> None:
    """Only a request on a connection that has answered before can meet the close."""
    return conn.close() if conn.served and conn.first(request, n) else ok(conn, request)


def hang_before_headers(conn: FaultConnection, request: Request) -> None:
    conn.hang()


def early_413(conn: FaultConnection, request: Request) -> None:
    _error(conn, 413, ("Connection", "close"))
    conn.close()


# the head


def slow_headers(conn: FaultConnection, request: Request, pause: float = 1.0) -> None:
    right = answer(request)
    for byte in conn.head(200, right.content_type, ("Content-Length", str(len(right.body)))):
        conn.send(bytes([byte]))
        conn.pause(pause)
    conn.send(right.body)


def reset_after_headers(conn: FaultConnection, request: Request) -> None:
    conn.start_chunks(200, answer(request).content_type)
    conn.reset()


def huge_headers(conn: FaultConnection, request: Request, size: int = 1_000_000) -> None:
    right = answer(request)
    conn.reply(200, right.content_type, right.body, ("X-Huge", "a" * size))


def endless_headers(conn: FaultConnection, request: Request) -> None:
    conn.send(b"HTTP/1.1 200 OK\r\n")
    for start in count(step=1000):
        conn.send(b"".join(b"X-Endless-%d: a\r\n" % (start + i) for i in range(1000)))


def endless_1xx(conn: FaultConnection, request: Request, code: int = 103, pause: float = 0.05) -> None:
    while True:
        conn.send(b"HTTP/1.1 %d Interim\r\n\r\n" % code)
        conn.pause(pause)


def garbage_head(conn: FaultConnection, request: Request) -> None:
    conn.send(b"\x16\x03\x01\x00\xa5 this is not HTTP \x00\xff\r\n\r\n")
    conn.close()


# the status


def status(conn: FaultConnection, request: Request, code: int = 418) -> None:
    _error(conn, code)


def s401(conn: FaultConnection, request: Request) -> None:
    _error(conn, 401)


def s408(conn: FaultConnection, request: Request) -> None:
    _error(conn, 408)


def s409(conn: FaultConnection, request: Request) -> None:
    _error(conn, 409)


def s425(conn: FaultConnection, request: Request) -> None:
    _error(conn, 425)


def s500(conn: FaultConnection, request: Request) -> None:
    _error(conn, 500)


def s529(conn: FaultConnection, request: Request) -> None:
    _error(conn, 529)


def s500_burst(conn: FaultConnection, request: Request, n: int = 2) -> None:
    return _error(conn, 500) if conn.first(request, n) else ok(conn, request)


def s429_seconds(conn: FaultConnection, request: Request, after: float = 2, n: int = 1) -> None:
    s429_header(conn, request, "Retry-After", f"{after:g}", n)


def s429_date(conn: FaultConnection, request: Request, after: float = 2, n: int = 1) -> None:
    """HTTP dates are whole seconds: the date is rounded up, so it is never sooner than `after`."""
    date = email.utils.formatdate(math.ceil(time.time() + after), usegmt=True)
    s429_header(conn, request, "Retry-After", date, n)


def s429_header(
    conn: FaultConnection, request: Request, name: str = "retry-after-ms", value: str = "1500", n: int = 1
) -> None:
    return _error(conn, 429, (name, value)) if conn.first(request, n) else ok(conn, request)


def s429_absurd(conn: FaultConnection, request: Request, after: str = "86400") -> None:
    _error(conn, 429, ("Retry-After", after))


def s429_nan(conn: FaultConnection, request: Request) -> None:
    _error(conn, 429, ("Retry-After", "nan"))


def s503_loading(conn: FaultConnection, request: Request, seconds: float = 0.5, n: int = 1) -> None:
    if not conn.first(request, n):
        return ok(conn, request)
    body = {"error": "Model fault is currently loading", "estimated_time": seconds}
    return conn.reply(503, JSON, json.dumps(body).encode())


def s502_html(conn: FaultConnection, request: Request) -> None:
    conn.reply(502, "text/html", HTML)


def s200_html(conn: FaultConnection, request: Request) -> None:
    conn.reply(200, "text/html", HTML)


def s200_empty(conn: FaultConnection, request: Request) -> None:
    conn.reply(200, answer(request).content_type, b"")


def s200_error_json(conn: FaultConnection, request: Request) -> None:
    _error(conn, 200)


def s500_endless_body(conn: FaultConnection, request: Request, pause: float = 0.05) -> None:
    conn.start_chunks(500, "text/plain")
    while True:
        conn.chunk(b"it went wrong, " * 64)
        conn.pause(pause)


def echo_token_error(conn: FaultConnection, request: Request) -> None:
    """Every header that may hold a credential comes back in the body and in X-Error-Message."""
    sent = [value for name, value in request.headers.items() if any(word in name for word in KEY_WORDS)]
    message = f"Invalid credentials: {' '.join(sent)}"
    body = json.dumps({"error": {"message": message, "code": 401}}).encode()
    conn.reply(401, JSON, body, ("X-Error-Message", message))


# redirects


def redirect(conn: FaultConnection, request: Request, code: int = 307, to: str = "other") -> None:
    """`to` is one of the names in `_target`, or a URL (percent-encoded: it stands in a path segment)."""
    body = b"moved"
    conn.reply(code, "text/plain", body, ("Location", _target(conn, request, to)))


def _target(conn: FaultConnection, request: Request, to: str) -> str:
    authority = conn.other_url.removeprefix("http://")
    named_host = authority.replace("127.0.0.1", "localhost")
    known = {
        "other": f"http://{named_host}{request.rest}",
        "port": f"http://{authority}{request.rest}",
        "userinfo": f"http://127.0.0.1@{named_host}{request.rest}",
        "relative": f"//{named_host}{request.rest}",
        "loop": request.path,
        "file": "file:///etc/passwd",
    }
    return known.get(to, to)


def redirect_other(conn: FaultConnection, request: Request, code: int = 307) -> None:
    redirect(conn, request, code, "other")


def redirect_port(conn: FaultConnection, request: Request, code: int = 307) -> None:
    redirect(conn, request, code, "port")


def redirect_loop(conn: FaultConnection, request: Request, code: int = 307) -> None:
    redirect(conn, request, code, "loop")


def redirect_file(conn: FaultConnection, request: Request, code: int = 307) -> None:
    redirect(conn, request, code, "file")
