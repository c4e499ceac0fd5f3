"""Sound at a server of OpenAI's dialect, through the clients: a form with a file, and streams in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.file_server import FileServer

from headwater import IncompleteStreamError

pytestmark = pytest.mark.anyio

FLAC = b"fLaC" + bytes(3000)
SSE = {"content-type": "text/event-stream"}
DELTAS = (
    b'data: {"type":"transcript.text.delta","delta":"Hi"}\n\ndata: {"type":"transcript.text.delta","delta":" you"}\n\n'
)
HEAR = "/v1/audio/transcriptions"


async def segments(driver: Any, server: FileServer) -> tuple[list[str], Any]:
    async with (
        driver.client(base_url=f"{server.url}/v1") as client,
        client.automatic_speech_recognition.stream(FLAC, model="whisper") as run,
    ):
        pieces = [piece.text async for piece in run]
        return pieces, await run.result()


async def test_segments_as_they_are_heard(driver: Any, server: FileServer) -> None:
    server.pages[HEAR] = (200, SSE, DELTAS + b'data: {"type":"transcript.text.done","text":"Hi you."}\n\n')
    pieces, result = await segments(driver, server)
    assert (pieces, result.text) == (["Hi", " you"], "Hi you.")


async def test_a_server_that_ignores_stream(driver: Any, server: FileServer) -> None:
    body = b'{"text":"Hi you.","segments":[{"text":"Hi","start":0,"end":1},{"text":"you.","start":1,"end":2}]}'
    server.pages[HEAR] = (200, {"content-type": "application/json; charset=utf-8"}, body)
    pieces, result = await segments(driver, server)
    assert (pieces, result.text, len(result.chunks)) == (["Hi you."], "Hi you.", 2)
    assert len(server.seen) == 1, "the sound is sent once"


async def test_a_stream_that_is_cut_keeps_what_was_heard(driver: Any, server: FileServer) -> None:
    def page(request: Any) -> None:
        request.send_response(200)
        request.send_header("content-type", "text/event-stream")
        request.send_header("content-length", str(len(DELTAS) + 9))
        request.end_headers()
        request.wfile.write(DELTAS)
        request.close_connection = True

    server.pages[HEAR] = page
    with pytest.raises(IncompleteStreamError) as caught:
        await segments(driver, server)
    assert caught.value.partial.text == "Hi you"


async def test_the_form_that_goes_out(driver: Any, server: FileServer, tmp_path: Path) -> None:
    server.pages[HEAR] = (200, {"content-type": "application/json"}, b'{"text":"Hi"}')
    path = tmp_path / "talk.flac"
    path.write_bytes(FLAC)
    async with driver.client(base_url=f"{server.url}/v1") as client:
        out = await client.automatic_speech_recognition(
            path, model="whisper", return_timestamps=True, extra_body={"language": "en"}
        )
    assert out.text == "Hi"
    ((_, headers, body),) = server.seen
    kind, _, boundary = headers["content-type"].partition("; boundary=")
    assert (kind, body.count(boundary.encode())) == ("multipart/form-data", 6)
    assert b'name="file"; filename="talk.flac"\r\nContent-Type: audio/flac\r\n\r\n' + FLAC + b"\r\n" in body
    for name, value in [("timestamp_granularities[]", "segment"), ("language", "en"), ("model", "whisper")]:
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body


async def test_a_sound_as_it_is_made(driver: Any, server: FileServer) -> None:
    server.pages["/v1/audio/speech"] = (200, {"content-type": "audio/flac"}, FLAC)
    async with driver.client(base_url=f"{server.url}/v1") as client, client.text_to_speech.stream("Hi") as run:
        pieces = [bytes(piece) async for piece in run]
        sound = await run.result()
    assert b"".join(pieces) == FLAC == sound and sound.mime_type == "audio/flac"
