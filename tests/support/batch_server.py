"""A server whose answers are a function of the question, and that remembers how often each was asked."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""That anything here may take before a test gives up; nothing comes near it."""


class Server(ThreadingHTTPServer):
    """`asked`: how often each question came; `hold()`: answer nothing from now on, until `go_on()`.

    `refuses`: the status that it refuses everything with, once `refuses_after` requests were answered; `wants`: the
    seconds after which it wants to be asked again.
    Questions in `poison` are refused; answers to those in `tells_key` have the key in them that came along.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.changed = threading.Condition()
        self.poison: set[str] = set()
        self.tells_key: set[str] = set()
        self.refuses = self.refuses_after = self.wants = 0
        self._going = threading.Event()
        self._going.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def wait_asked(self, count: int) -> None:
        """Wait until there were so many requests in all."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.asked.total() >= count, SECONDS)

    def hold(self) -> None:
        self._going.clear()

    def go_on(self) -> None:
        self._going.set()

    def answer(self, question: str) -> tuple[int, dict[str, Any]]:
        with self.changed:
            self.asked[question] += 1
            is_refused = self.refuses and self.asked.total() > self.refuses_after
            self.changed.notify_all()
        assert self._going.wait(SECONDS)
        if is_refused:
            return self.refuses, {"error": {"message": "refused by everybody", "code": "refused"}}
        if question in self.poison:
            return 400, {"error": {"message": f"no \x1b[31m{question}", "code": "poisoned"}}
        message = {"role": "assistant", "content": text_for(question)}
        usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return 200, {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away in these tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question = sent["messages"][-1]["content"]
        status, answer = self.server.answer(question)
        if question in self.server.tells_key:
            answer["leaked"] = answer.get("error", {})["message"] = f"your key is {self.headers['authorization']}"
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if self.server.wants:
            self.send_header("retry-after", str(self.server.wants))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.go_on()
            server.shutdown()
            thread.join()


def text_for(question: str) -> str:
    return f"The answer to {question} is {question[::-1]}."


def request(number: int) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": f"q{number}"}]}
    return {"custom_id": f"id-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}


def write_requests(path: Path, numbers: range, mode: str = "w") -> None:
    with path.open(mode) as file:
        file.writelines(json.dumps(request(number)) + "\n" for number in numbers)


def results(path: Path) -> list[dict[str, Any]]:
    """The output's lines; the last one may be torn."""
    *lines, rest = path.read_text().split("\n")
    assert not rest, rest
    return [json.loads(line) for line in lines]


def check_complete(path: Path, count: int) -> None:
    """Every record is there once, with its own answer."""
    found = {line["custom_id"]: line for line in results(path)}
    assert len(results(path)) == len(found) == count
    for number in range(count):
        line = found[f"id-{number}"]
        assert line["error"] is None
        assert line["response"]["body"]["choices"][0]["message"]["content"] == text_for(f"q{number}")
        assert line["headwater"]["index"] == number
