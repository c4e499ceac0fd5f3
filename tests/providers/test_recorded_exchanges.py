"""What real servers sent: every recorded refusal gets a class and the server's words, every recorded chat its end
(or is known to be torn).

Needs the recordings: a folder with exchanges.jsonl, named by HEADWATER_RECORDED.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import ProviderError
from headwater.flow import END, Reply
from headwater.framing import SSEFraming
from headwater.providers.openai import decode_chunk
from headwater.refusals import refusal
from headwater.tasks.chat_fold import ChatFold

FOLDER = os.environ.get("HEADWATER_RECORDED")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="HEADWATER_RECORDED is not set")


def recorded() -> Iterator[tuple[dict[str, Any], Reply]]:
    assert FOLDER is not None
    for line in (Path(FOLDER) / "exchanges.jsonl").read_text(encoding="utf-8").splitlines():
        exchange = json.loads(line)
        kept = exchange["response_body"] or {}
        body = (Path(FOLDER) / kept["file"]).read_bytes() if "file" in kept else kept.get("text", "").encode()
        headers = {name.lower(): text for name, text in (exchange["response_headers"] or {}).items() if text}
        yield exchange, Reply(status=exchange["status"], headers=headers, body=body, url=exchange["url"])


def test_every_recorded_refusal_speaks() -> None:
    seen = 0
    for _, answer in recorded():
        if answer.status < 400:
            continue
        seen += 1
        error = refusal(answer, provider="p")
        assert type(error) is not ProviderError and error.status == answer.status
        assert (error.server_message is not None) == bool(answer.body)
        assert "{" not in (error.server_message or "")[:1]
    assert seen > 50


def test_every_recorded_chat_ends() -> None:
    seen = 0
    for exchange, answer in recorded():
        if answer.content_type != "text/event-stream" or "chat/completions" not in exchange["url"]:
            continue
        seen += 1
        framing, fold, marked = SSEFraming(), ChatFold(), False
        for frame in framing.feed(answer.body) + framing.finish():
            chunk = decode_chunk(frame)
            marked = marked or chunk is END
            if chunk is not None and chunk is not END:
                fold.add(chunk)  # type: ignore[arg-type]
        assert marked or fold.complete() or framing.pending or not fold.result().choices, exchange["id"]
    assert seen > 40
