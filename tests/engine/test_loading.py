"""Every kind of input is read to what it is, and what is none is refused in plain words."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.file_server import ANYWHERE, PNG, FileServer, requester

from headwater import Timeout
from headwater.engine import download_hosts
from headwater.engine.download_hosts import public_addresses, refused_address, refused_host
from headwater.engine.input_policy import InputPolicy
from headwater.engine.load import load
from headwater.engine.multipart import UploadBody, request_body
from headwater.errors import InferenceTimeoutError, InputError, InvalidParameterError
from headwater.media.images import data_url
from headwater.media.source import kind_of
from headwater.protocol.flow import Load, Loaded, Part, Request
from headwater.protocol.url import parse_url
from headwater.testing import MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio


async def read(source: Any, policy: InputPolicy = ANYWHERE, **more: Any) -> Loaded:
    return await load(requester(policy), Load(source=source, **more), kind_of(source))


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, io.BytesIO])
async def test_bytes_and_files_are_read_with_their_type(make: Any) -> None:
    found = await read(make(PNG))
    assert (found.data, found.mime_type, found.size) == (PNG, "image/png", len(PNG))


async def test_a_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "talk.flac").write_bytes(b"skip" + b"fLaC1234")
    with (tmp_path / "talk.flac").open("rb") as file:
        file.seek(4)
        found = await read(file)
    assert (found.data, found.mime_type, found.name) == (b"fLaC1234", "audio/flac", "talk.flac")


async def test_a_short_read_is_no_end() -> None:
    class Dribbling(io.RawIOBase):
        left = PNG

        def read(self, size: int = -1) -> bytes:
            piece, self.left = self.left[:5], self.left[5:]
            return piece

    assert (await read(Dribbling())).data == PNG


@pytest.mark.parametrize("kind", [str, Path])
async def test_a_path_is_read(tmp_path: Path, kind: Any) -> None:
    (tmp_path / "cat.jpg").write_bytes(PNG)
    found = await read(kind(tmp_path / "cat.jpg"))
    assert (found.data, found.mime_type, found.name, found.path) == (PNG, "image/png", "cat.jpg", None)


async def test_a_large_file_stays_on_disk_where_it_may(tmp_path: Path) -> None:
    data = b"fLaC" + bytes(2 * 1024 * 1024)
    (tmp_path / "talk.flac").write_bytes(data)
    kept = await read(tmp_path / "talk.flac", streamed=True)
    assert (kept.data, kept.path, kept.size) == (b"", str(tmp_path / "talk.flac"), len(data))
    assert kept.mime_type == "audio/flac"
    body, kind = request_body(kept)
    assert isinstance(body, UploadBody) and (body.length, kind) == (len(data), "audio/flac")
    assert [b"".join([piece async for piece in body]) == data for _ in range(2)] == [True, True]
    assert (await read(tmp_path / "talk.flac")).data == data


async def test_data_urls_are_decoded_or_kept() -> None:
    text = data_url(PNG, "image/jpeg")
    assert (await read(text)).data == PNG
    assert (await read(text)).mime_type == "image/png"
    assert (await read(text, keep_url=True)).url == text


async def test_images_and_arrays_are_encoded() -> None:
    numpy = pytest.importorskip("numpy")
    from PIL import Image

    for image in (Image.new("RGB", (3, 2)), numpy.zeros((2, 3, 3), numpy.uint8)):
        found = await read(image)
        assert found.mime_type == "image/png"
        assert Image.open(io.BytesIO(found.data)).size == (3, 2)


async def refusal(source: Any, policy: InputPolicy = ANYWHERE, kind: Any = InputError, **more: Any) -> str:
    with pytest.raises(kind) as caught:
        await read(source, policy, **more)
    return str(caught.value)


async def test_what_cannot_be_read_is_refused_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("words")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "text").open() as file:
        assert "text-mode" in await refusal(file, kind=InvalidParameterError)
    assert "there is no file" in await refusal(str(tmp_path / "missing.png"))
    assert "is a folder" in await refusal(tmp_path)
    assert "no regular file" in await refusal(tmp_path / "pipe")
    assert "is empty" in await refusal(tmp_path / "empty")
    assert "it is no path" in await refusal("a\0b")
    assert len(await refusal("x" * 100_000)) < 400
    assert "not base64" in await refusal("data:image/png;base64,!!!")
    assert "not int" in await refusal(3, kind=InvalidParameterError)
    assert "is larger than 10 bytes" in await refusal(b"x" * 11, InputPolicy(limit=10))
    assert "is larger than 10 bytes" in await refusal(io.BytesIO(b"x" * 11), InputPolicy(limit=10))
    assert "is larger than 4 bytes" in await refusal(tmp_path / "text", InputPolicy(limit=4))


async def test_an_untrusted_text_is_never_a_path(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    assert "not read as a path" in await refusal(str(tmp_path / "cat.png"), InputPolicy.untrusted)
    assert (await read(tmp_path / "cat.png", InputPolicy.untrusted)).data == PNG


# -- URLs


async def test_a_url_is_downloaded_without_credentials(server: FileServer) -> None:
    server.pages["/a/cat.jpg"] = (200, {"content-type": "image/jpeg"}, PNG)
    policy_of_provider = requester(ANYWHERE, origin=server.url)
    found = await load(policy_of_provider, Load(source=f"{server.url}/a/cat.jpg?size=3#top"), "url")
    assert (found.data, found.mime_type, found.name) == (PNG, "image/png", "cat.jpg")
    path, headers, _ = server.seen[0]
    assert path == "/a/cat.jpg?size=3"
    assert not {"authorization", "x-mine", "cookie"} & headers.keys()


async def test_a_url_may_be_kept() -> None:
    assert (await read("https://files.example/cat.png", InputPolicy(), keep_url=True)).url


async def test_urls_that_give_no_file_are_refused(server: FileServer) -> None:
    server.pages |= {
        "/gone": (404, {}, b"no"),
        "/page": (200, {"content-type": "text/html; charset=utf-8"}, b"<p>hello"),
        "/bare": (200, {}, b"\n<!DOCTYPE html><title>x"),
        "/large": (200, {}, bytes(100)),
        "/none": (200, {}, b""),
    }
    assert "cannot be downloaded: it answered 404" in await refusal(f"{server.url}/gone?key=secret")
    assert "secret" not in await refusal(f"{server.url}/gone?key=secret")
    assert "HTML page" in await refusal(f"{server.url}/page")
    assert "HTML page" in await refusal(f"{server.url}/bare")
    assert "more than 50 bytes" in await refusal(f"{server.url}/large", InputPolicy(allow_private=True, limit=50))
    assert "is empty" in await refusal(f"{server.url}/none")
    assert "not downloaded" in await refusal(f"{server.url}/gone", InputPolicy(urls=False, allow_private=True))


async def test_a_redirect_is_followed_three_times(server: FileServer) -> None:
    for n in range(5):
        server.pages[f"/{n}"] = (302, {"location": f"/{n + 1}"}, b"")
    server.pages["/5"] = (200, {}, PNG)
    assert (await read(f"{server.url}/2")).data == PNG
    assert "cannot be downloaded: it answered 302" in await refusal(f"{server.url}/1")


async def test_a_failure_that_may_pass_is_tried_again() -> None:
    memory = MemoryTransport.in_turn(ScriptedResponse(status=503), ScriptedResponse(PNG, content_type=""))
    call = requester(transport=lambda _: memory)
    assert (await load(call, Load(source="https://files.example/cat.png"), "url")).data == PNG
    assert call.attempts == []


async def test_a_refused_connection_is_an_input_error() -> None:
    message = await refusal("http://127.0.0.1:1/cat.png")
    assert "cannot be downloaded" in message


PRIVATE = [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
    "ff02::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::1",
    "2002:7f00:1::", "2001::1", "2001:db8::1", "2001:20::1", "3fff::1", "5f00::1", "1::1", "::fffe:7f00:1",
    "100:0:0:1::1", "192.0.0.8", "192.88.99.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert refused_address(address)
    assert refused_host(address) if "%" not in address else True


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111"])
def test_addresses_that_are(address: str) -> None:
    assert refused_address(address) is None


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "a.localhost", "localhost.", "127.1", "2130706433", "0x7f.1", "0177.0.0.1",
             "0x7f000001", "127.0.0.1.", "1.2.3.0x4"]
)  # fmt: skip
def test_names_and_notations_that_lead_inside(host: str) -> None:
    assert refused_host(host)


def test_names_that_must_be_looked_up() -> None:
    assert refused_host("files.example") is None


async def test_a_private_url_is_refused_and_says_how_to_allow_it(server: FileServer) -> None:
    server.pages["/cat.png"] = (200, {}, PNG)
    message = await refusal(f"{server.url}/cat.png", InputPolicy())
    assert "loopback" in message
    assert "InputPolicy(allow_private=True)" in message
    assert server.seen == []


async def test_a_name_is_looked_up_once_and_its_address_connected_to(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["/cat.png"] = (200, {}, PNG)
    asked: list[str] = []

    async def lookup(host: str, port: int) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(download_hosts, "look_up", lookup)
    judge = download_hosts.refused_address
    monkeypatch.setattr(download_hosts, "refused_address", lambda a: None if a == "127.0.0.1" else judge(a))
    found = await read(f"http://files.example:{server.port}/cat.png", InputPolicy())
    assert found.data == PNG
    assert asked == ["files.example"]
    assert server.seen[0][1]["host"] == f"files.example:{server.port}"


async def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lookup(host: str, port: int) -> list[Any]:
        return [(2, 1, 6, "", ("8.8.8.8", port)), (2, 1, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr(download_hosts, "look_up", lookup)
    with pytest.raises(InputError, match="leads to a private address"):
        await public_addresses(parse_url("http://files.example/"))


async def test_each_hop_is_judged_anew() -> None:
    memory = MemoryTransport.in_turn(
        ScriptedResponse(status=302, headers={"location": "https://169.254.169.254/latest"})
    )
    call = requester(InputPolicy(), transport=lambda _: memory)
    with pytest.raises(InputError, match="link-local"):
        await load(call, Load(source="https://files.example/cat.png"), "url")
    assert len(memory.requests) == 1


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "hTTps"])
async def test_https_is_never_redirected_to_http(scheme: str) -> None:
    memory = MemoryTransport(
        lambda _: ScriptedResponse(status=302, headers={"location": "http://files.example/cat.png"})
    )
    call = requester(transport=lambda _: memory)
    with pytest.raises(InputError, match="from https to http"):
        await load(call, Load(source=f"{scheme}://files.example/cat.png"), "url")
    assert len(memory.requests) == 1


# -- bodies


async def test_a_form_has_its_parts_and_its_length(tmp_path: Path) -> None:
    (tmp_path / "talk.flac").write_bytes(b"fLaC" + bytes(2 * 1024 * 1024))
    file = await read(tmp_path / "talk.flac", streamed=True)
    parts = (Part(name='mo"del', data=b"whisper"), Part(name="file", data=file, filename="a\r\nb.flac"))
    body, kind = request_body(parts)
    assert isinstance(body, UploadBody)
    whole = b"".join([piece async for piece in body])
    assert len(whole) == body.length
    boundary = (kind or "").partition("boundary=")[2].encode()
    first, second, end = whole.split(b"--" + boundary)[1:]
    assert first == b'\r\nContent-Disposition: form-data; name="mo%22del"\r\n\r\nwhisper\r\n'
    head, _, data = second.partition(b"\r\n\r\n")
    assert b'filename="a%0D%0Ab.flac"\r\nContent-Type: audio/flac' in head
    assert data == (tmp_path / "talk.flac").read_bytes() + b"\r\n"
    assert end == b"--\r\n"


def test_a_small_form_is_bytes() -> None:
    body, _ = request_body((Part(name="a", data=Loaded(mime_type="text/plain", data=b"1"), filename="a.txt"),))
    assert isinstance(body, bytes)
    assert b"Content-Type: text/plain\r\n\r\n1\r\n" in body


def test_a_url_is_no_body() -> None:
    with pytest.raises(InvalidParameterError):
        request_body(Loaded(mime_type="image/png", url="https://files.example/cat.png"))


async def test_a_file_that_is_gone_is_an_input_error(tmp_path: Path) -> None:
    body, _ = request_body(Loaded(mime_type="audio/flac", path=str(tmp_path / "gone.flac"), size=3))
    assert isinstance(body, UploadBody)
    with pytest.raises(InputError, match="cannot be read any more"):
        _ = [piece async for piece in body]


@pytest.mark.parametrize("kind", ["file", "form"])
async def test_a_body_on_disk_is_sent_again_whole(server: FileServer, tmp_path: Path, kind: str) -> None:
    data = b"fLaC" + os.urandom(2 * 1024 * 1024)
    (tmp_path / "talk.flac").write_bytes(data)
    answers: list[tuple[int, dict[str, str], bytes]] = [(503, {}, b""), (200, {}, b"ok")]
    server.pages["/asr"] = lambda request: reply(request, *answers.pop(0))
    call = requester(origin=server.url)
    file = await load(call, Load(source=tmp_path / "talk.flac", streamed=True), "path")
    body = file if kind == "file" else (Part(name="model", data=b"m"), Part(name="file", data=file, filename="a.flac"))
    got = await call.send(Request(method="POST", url=f"{server.url}/asr", body=body))
    assert got.body == b"ok"
    assert len(server.seen) == 2
    for _, headers, sent in server.seen:
        assert headers["content-length"] == str(len(sent))
        assert (sent == data) if kind == "file" else (data in sent)
        assert headers["content-type"].startswith("audio/flac" if kind == "file" else "multipart/form-data; boundary=")


def reply(request: Any, status: int, headers: dict[str, str], body: bytes) -> None:
    request.send_response(status)
    for name, value in {**headers, "content-length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


@pytest.mark.parametrize("head", [True, False])
async def test_a_download_that_stalls_ends_with_the_deadline(server: FileServer, head: bool) -> None:
    go_on = threading.Event()

    def stall(request: Any) -> None:
        if head:
            request.send_response(200)
            request.send_header("content-length", "100")
            request.end_headers()
        go_on.wait(20)
        request.close_connection = True

    server.pages["/cat.png"] = stall
    call = requester(timeout=Timeout(total=0.2))
    try:
        with pytest.raises(InferenceTimeoutError) as caught:
            await load(call, Load(source=f"{server.url}/cat.png"), "url")
    finally:
        go_on.set()
    assert caught.value.phase == "total"
