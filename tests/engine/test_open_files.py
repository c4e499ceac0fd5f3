"""Open files as bodies: read as they are sent, from where they stood, as often as they are sent, on every driver."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.drivers import Driver
from support.file_server import FileServer

from headwater import InferenceClient, InputError, InputPolicy

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

MIB = 1024 * 1024
DATA = b"fLaC" + os.urandom(3 * MIB)
JSON = {"content-type": "application/json"}
HEAR = "/v1/audio/transcriptions"


class Endless(io.RawIOBase):
    """A sound of so many bytes, of which none is kept; `most`: the most that was asked for at once."""

    def __init__(self, size: int) -> None:
        self.size, self.at, self.most = size, 0, 0
        self.name = "talk.flac"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, to: int, whence: int = 0) -> int:
        self.at = (0, self.at, self.size)[whence] + to
        return self.at

    def read(self, size: int = -1) -> bytes:
        self.most = max(self.most, size if size >= 0 else self.size)
        piece = bytes(max(0, min(size, self.size - self.at)))
        self.at += len(piece)
        return piece


def answers(*pages: tuple[int, dict[str, str], bytes]) -> Callable[[Any], None]:
    left = list(pages)

    def page(request: Any) -> None:
        status, headers, body = left.pop(0)
        request.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return page


def piped(data: bytes) -> Any:
    """The reading end of a pipe that somebody writes to."""
    read, write = os.pipe()

    def fill() -> None:
        with suppress(BrokenPipeError), os.fdopen(write, "wb") as file:  # a reader may have had enough
            file.write(data)

    threading.Thread(target=fill, daemon=True).start()
    return os.fdopen(read, "rb")


def on_disk(tmp_path: Path, **settings: Any) -> Any:
    (tmp_path / "talk.flac").write_bytes(b"before" + DATA)
    file = (tmp_path / "talk.flac").open("rb", **settings)
    file.seek(6)
    return file


def unpacked(tmp_path: Path) -> Any:
    (tmp_path / "talk.flac.gz").write_bytes(gzip.compress(DATA, 1))
    return gzip.open(tmp_path / "talk.flac.gz")


def spooled(_: Path) -> Any:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115 - the test closes it
    file.write(DATA)
    file.seek(0)
    return file


FILES: dict[str, Callable[[Path], Any]] = {
    "disk": on_disk,
    "unbuffered": lambda tmp_path: on_disk(tmp_path, buffering=0),
    "memory": lambda _: io.BytesIO(DATA),
    "spooled": spooled,
    "pipe": lambda _: piped(DATA),
    "gzip": unpacked,
}


@pytest.mark.parametrize("kind", FILES)
async def test_a_form_is_sent_again_whole(driver: Driver, server: FileServer, tmp_path: Path, kind: str) -> None:
    server.pages[HEAR] = answers((503, JSON, b"{}"), (200, JSON, b'{"text":"Hi"}'))
    with FILES[kind](tmp_path) as file:
        async with driver.client(base_url=f"{server.url}/v1") as client:
            assert (await client.automatic_speech_recognition(file, model="m")).text == "Hi"
        assert not file.closed
    assert [sent.count(DATA) for _, _, sent in server.seen] == [1, 1]
    assert all(headers["content-length"] == str(len(sent)) for _, headers, sent in server.seen)
    assert not any(b"before" in sent for _, _, sent in server.seen)


@pytest.mark.parametrize("kind", FILES)
async def test_bytes_are_sent_again_whole(driver: Driver, server: FileServer, tmp_path: Path, kind: str) -> None:
    server.pages["/models/x"] = answers((503, JSON, b"{}"), (200, JSON, b'[{"label":"a","score":1}]'))
    with FILES[kind](tmp_path) as file:
        async with driver.client(base_url=f"{server.url}/models/x") as client:
            (found,) = await client.audio_classification(file)
    assert found.label == "a"
    assert [sent == DATA for _, _, sent in server.seen] == [True, True]
    assert {headers["content-type"] for _, headers, _ in server.seen} == {"audio/flac"}


@pytest.mark.parametrize("kind", FILES)
async def test_one_that_is_not_streamed(driver: Driver, server: FileServer, tmp_path: Path, kind: str) -> None:
    """With parameters it goes as base64 in JSON."""
    server.pages["/models/x"] = (200, JSON, b'[{"label":"a","score":1}]')
    with FILES[kind](tmp_path) as file:
        async with driver.client(base_url=f"{server.url}/models/x") as client:
            await client.audio_classification(file, top_k=1)
    ((_, _, sent),) = server.seen
    assert len(sent) > len(DATA) * 4 // 3


@pytest.mark.parametrize("kind", FILES)
async def test_a_bare_host_gets_it_in_both_dialects(
    driver: Driver, server: FileServer, tmp_path: Path, kind: str
) -> None:
    server.pages |= {"/": (404, JSON, b"{}"), HEAR: (200, JSON, b'{"text":"Hi"}')}
    with FILES[kind](tmp_path) as file:
        async with driver.client(base_url=server.url) as client:
            assert (await client.automatic_speech_recognition(file)).text == "Hi"
    (_, _, raw), (_, _, form) = server.seen
    assert raw == DATA and DATA in form


async def test_little_of_a_large_file_is_in_memory(driver: Driver, server: FileServer) -> None:
    size = 48 * MIB
    file = Endless(size)
    policy = InputPolicy(limit=2 * size)
    server.pages[HEAR] = answers((200, JSON, b'{"text":"Hi"}'))
    async with driver.client(base_url=f"{server.url}/v1", input_policy=policy) as client:
        assert (await client.automatic_speech_recognition(file, model="m")).text == "Hi"
    ((_, headers, sent),) = server.seen
    assert int(headers["content-length"]) == len(sent) > size
    assert file.most <= MIB
    assert b'filename="talk.flac"' in sent[:1000]


@pytest.mark.parametrize("kind", FILES)
async def test_more_than_the_policy_allows(driver: Driver, server: FileServer, tmp_path: Path, kind: str) -> None:
    policy = InputPolicy(limit=2 * MIB)
    with FILES[kind](tmp_path) as file:
        async with driver.client(base_url=f"{server.url}/v1", input_policy=policy) as client:
            with pytest.raises(InputError, match=f"is larger than {2 * MIB} bytes"):
                await client.automatic_speech_recognition(file, model="m")
    assert server.seen == []


def test_a_file_that_is_closed_meanwhile(server: FileServer) -> None:
    """The first answer asks for it once more; its file is closed by then."""
    file = io.BytesIO(DATA)

    def page(request: Any) -> None:
        file.close()
        answers((503, JSON, b"{}"))(request)

    server.pages[HEAR] = page
    with InferenceClient(base_url=f"{server.url}/v1") as client, pytest.raises(InputError, match="cannot be read any"):
        client.automatic_speech_recognition(file, model="m")
