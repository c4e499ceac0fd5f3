"""Results by URL: checked, with progress, begun anew where they were cut, and to disk without being held."""

from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.drivers import Driver
from support.file_server import ANYWHERE, PNG, FileServer, requester

from headwater.engine.download import Download, fetch
from headwater.engine.input_policy import InputPolicy
from headwater.errors import (
    ConnectionLostError,
    InputError,
    InvalidParameterError,
    JobFailedError,
    NotFoundError,
    ProviderError,
    RedirectError,
    ResponseTooLargeError,
    UnexpectedContentError,
)
from headwater.media.images import open_image
from headwater.media.media import Media
from headwater.protocol.events import Job, Progress, Submitted, Transferred
from headwater.protocol.flow import MIB, Call, Emit, Fetch, Flow, OnCancel, Request, Send
from headwater.providers import PROVIDERS
from headwater.testing import MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio
VIDEO = b"\0\0\0\x20ftypisom" + bytes(2 * MIB)


def result(url: str, **more: Any) -> Fetch:
    return Fetch(request=Request(method="GET", url=url), **more)


async def test_a_result_is_media_with_its_type(server: FileServer) -> None:
    server.pages["/v"] = (200, {"content-type": "application/octet-stream"}, VIDEO)
    media = await fetch(requester(), result(f"{server.url}/v", mime_type="video/mp4"))
    assert isinstance(media, Media)
    assert (media == VIDEO, media.mime_type) == (True, "video/mp4")


async def test_progress_is_told_and_ends_with_the_whole(server: FileServer) -> None:
    server.pages["/v"] = (200, {}, VIDEO)
    download, told = Download(requester(), result(f"{server.url}/v")), []
    while (event := await download.more()) is not None:
        told.append(event)
    assert len(told) >= 2
    assert [event.size for event in told] == sorted({event.size for event in told})
    assert told[-1] == Transferred("download", len(VIDEO), len(VIDEO))


async def test_the_credential_goes_to_the_provider_alone(server: FileServer) -> None:
    server.pages |= {"/v": (302, {"location": "/w"}, b""), "/w": (200, {}, PNG)}
    await fetch(requester(origin=server.url), result(f"{server.url}/v"))
    assert [headers.get("authorization") for _, headers, _ in server.seen] == ["Bearer sk-very-secret"] * 2
    server.seen.clear()
    await fetch(requester(origin="https://api.example"), result(f"{server.url}/v"))
    assert not any({"authorization", "x-mine"} & headers.keys() for _, headers, _ in server.seen)


async def test_no_credential_follows_a_redirect_elsewhere() -> None:
    memory = MemoryTransport.in_turn(
        ScriptedResponse(status=307, headers={"location": "https://cdn.example/v?sig=1"}),
        ScriptedResponse(PNG, content_type="image/png"),
    )
    call = requester(origin="https://api.example", transport=lambda _: memory)
    assert await fetch(call, result("https://api.example/v")) == PNG
    first, second = (dict(sent.headers) for sent in memory.requests)
    assert "authorization" in first
    assert not {"authorization", "x-mine"} & second.keys()
    assert str(memory.requests[1].url) == "https://cdn.example/v?sig=1"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: ScriptedResponse(b"<p>", content_type="text/html"), UnexpectedContentError),
        (lambda: ScriptedResponse(b"<!doctype html>", content_type=""), UnexpectedContentError),
        (lambda: ScriptedResponse(b'{"error": "the job failed"}'), ProviderError),
        (lambda: ScriptedResponse(b"", content_type="video/mp4"), UnexpectedContentError),
        (lambda: ScriptedResponse(b"no", status=404), NotFoundError),
        (lambda: ScriptedResponse(status=302, headers={"location": "ftp://x/y"}), RedirectError),
        (lambda: ScriptedResponse(status=302, headers={"location": "http://cdn.example/v"}), RedirectError),
        (lambda: ScriptedResponse(status=304), ProviderError),
    ],
)
async def test_what_is_no_result_is_an_error(answer: Callable[[], ScriptedResponse], kind: type[Exception]) -> None:
    memory = MemoryTransport(lambda _: answer())
    call = requester(transport=lambda _: memory, retries=0)
    with pytest.raises(kind):
        await fetch(call, result("https://cdn.example/v"))
    assert memory.unfinished() == []


async def test_other_media_are_given_up_at_their_head() -> None:
    memory = MemoryTransport(lambda _: ScriptedResponse(PNG, *[bytes(65536)] * 9, content_type="video/mp4"))
    with pytest.raises(UnexpectedContentError, match="image/png instead of video"):
        request = Request(method="GET", url="https://cdn.example/v", family="video")
        await fetch(requester(transport=lambda _: memory, retries=0), Fetch(request=request))
    assert memory.responses[0].closed and not memory.responses[0].whole


async def test_more_than_three_redirects_are_none(server: FileServer) -> None:
    server.pages["/v"] = (302, {"location": "/v"}, b"")
    with pytest.raises(RedirectError):
        await fetch(requester(), result(f"{server.url}/v"))
    assert len(server.seen) == 4


async def test_a_post_is_not_redirected() -> None:
    memory = MemoryTransport.in_turn(ScriptedResponse(status=302, headers={"location": "/w"}))
    call = requester(transport=lambda _: memory)
    with pytest.raises(RedirectError):
        await fetch(call, Fetch(request=Request(method="POST", url="https://cdn.example/v", body=b"{}")))


async def test_a_result_inside_is_refused_unless_it_is_the_providers_own(server: FileServer) -> None:
    server.pages["/v"] = (200, {}, PNG)
    with pytest.raises(UnexpectedContentError, match="loopback"):
        await fetch(requester(InputPolicy(), origin="https://api.example"), result(f"{server.url}/v"))
    assert server.seen == []
    assert await fetch(requester(InputPolicy(), origin=server.url), result(f"{server.url}/v")) == PNG


async def test_a_download_that_is_cut_begins_anew() -> None:
    memory = MemoryTransport.in_turn(
        ScriptedResponse(PNG[:20], ConnectionLostError("cut"), content_type="image/png"),
        ScriptedResponse(PNG, content_type=""),
    )
    call = requester(transport=lambda _: memory)
    assert await fetch(call, result("https://cdn.example/v")) == PNG
    assert [type(attempt.error) for attempt in call.attempts] == [ConnectionLostError]


async def test_a_result_over_the_limit_says_what_to_do() -> None:
    memory = MemoryTransport.in_turn(ScriptedResponse(PNG, content_type="image/png"))
    call = requester(InputPolicy(limit=10), transport=lambda _: memory)
    with pytest.raises(ResponseTooLargeError, match=r"save\(path\)"):
        await fetch(call, result("https://cdn.example/v"))
    assert memory.unfinished() == []


# -- through the clients


def video(call: Call) -> Flow[Media]:
    url = call.url or ""
    yield Send(Request(method="POST", url=f"{url}/submit", body=b"{}", resend=False))
    job = Job(provider=call.provider, task=call.task, id="7", state={"path": "/result"})
    yield Emit(Submitted(job))
    yield Emit(Progress(0.5))
    media: Media = yield Fetch(request=Request(method="GET", url=f"{url}/result"), mime_type="video/mp4")
    return media


def picture(call: Call) -> Flow[Any]:
    return open_image((yield Fetch(request=Request(method="GET", url=f"{call.url}/result"))))


def inline(call: Call) -> Flow[Any]:
    reply = yield Send(Request(method="GET", url=f"{call.url}/result"))
    return Media(reply.body)


def text(call: Call) -> Flow[str]:
    yield Send(Request(method="GET", url=f"{call.url}/result"))
    return "words"


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Lets a server's own URL perform text-to-video by this flow."""
    from headwater.providers.registry import SERVER

    def put(chosen: Any) -> None:
        tasks = {**SERVER.tasks, "text-to-video": chosen}
        monkeypatch.setitem(SERVER.tasks, "text-to-video", chosen)
        assert tasks["text-to-video"] is SERVER.tasks["text-to-video"]

    return put


async def test_a_plain_call_gives_media(driver: Driver, server: FileServer, flow: Callable[[Any], None]) -> None:
    flow(video)
    server.pages |= {"/submit": (200, {}, b"{}"), "/result": (200, {}, VIDEO)}
    async with driver.client(base_url=server.url) as client:
        assert await client.text_to_video("waves") == VIDEO


async def test_a_run_tells_its_progress(driver: Driver, server: FileServer, flow: Callable[[Any], None]) -> None:
    flow(video)
    server.pages |= {"/submit": (200, {}, b"{}"), "/result": (200, {}, VIDEO)}
    async with driver.client(base_url=server.url) as client, client.text_to_video.stream("waves") as run:
        events = [event async for event in run]
        assert run.job == Job(provider="url", task="text-to-video", id="7", state={"path": "/result"})
        assert [type(event) for event in events[:3]] == [Submitted, Progress, Transferred]
        assert (events[-2].size, events[-1]) == (len(VIDEO), VIDEO)
        assert await run.result() == VIDEO
        assert run.outcome == "complete"


async def test_a_job_that_cannot_be_cancelled_is_left_detached(
    driver: Driver, server: FileServer, flow: Callable[[Any], None]
) -> None:
    flow(video)
    server.pages |= {"/submit": (200, {}, b"{}"), "/result": (200, {}, VIDEO)}
    async with driver.client(base_url=server.url) as client:
        async with client.text_to_video.stream("waves") as run:
            async for _ in run:
                break
        assert run.outcome == "detached"
        assert run.job.id == "7"


async def test_a_cancelled_job_says_so(driver: Driver, server: FileServer, flow: Callable[[Any], None]) -> None:
    def cancellable(call: Call) -> Flow[Any]:
        yield OnCancel(Request(method="POST", url=f"{call.url}/cancel", body=b"{}"))
        return (yield from video(call))

    flow(cancellable)
    server.pages |= {"/submit": (200, {}, b"{}"), "/cancel": (200, {}, b"{}")}
    async with driver.client(base_url=server.url) as client:
        async with client.text_to_video.stream("waves") as run:
            async for _ in run:
                break
        assert run.outcome == "cancelled"
        server.pages["/cancel"] = (400, {}, b"{}")
        async with client.text_to_video.stream("waves") as run:
            async for _ in run:
                break
        assert run.outcome == "detached"


@pytest.mark.parametrize("how", [video, picture, inline])
async def test_a_result_is_saved(
    driver: Driver, server: FileServer, flow: Callable[[Any], None], tmp_path: Path, how: Any
) -> None:
    flow(how)
    data = VIDEO if how is video else _png()
    server.pages |= {"/submit": (200, {}, b"{}"), "/result": (200, {}, data)}
    events: list[Any] = []
    (tmp_path / "out.bin").write_bytes(b"old")
    async with driver.client(base_url=server.url) as client:
        path = await client.text_to_video.stream("waves").save(tmp_path / "out.bin", each=events.append)
    assert path == tmp_path / "out.bin"
    assert path.read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert [type(event) for event in events[:2]] == (
        [Submitted, Progress] if how is video else [Transferred][: how is picture]
    )


def _png() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    return file.getvalue()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


async def test_what_fails_leaves_nothing_behind(
    driver: Driver, server: FileServer, flow: Callable[[Any], None], tmp_path: Path
) -> None:
    (tmp_path / "out.mp4").write_bytes(b"old")

    def failing(call: Call) -> Flow[Any]:
        yield from video(call)
        raise JobFailedError("it failed after all")

    flow(failing)
    server.pages |= {"/submit": (200, {}, b"{}"), "/result": (200, {}, VIDEO)}
    async with driver.client(base_url=server.url) as client:
        with pytest.raises(JobFailedError):
            await client.text_to_video.stream("waves").save(tmp_path / "out.mp4")
    flow(text)  # a client remembers the route of a task, and so its flow
    async with driver.client(base_url=server.url) as client:
        with pytest.raises(InvalidParameterError, match="no file"):
            await client.text_to_video.stream("waves").save(tmp_path / "out.mp4")
        server.seen.clear()
        with pytest.raises(InputError, match="cannot be written"):
            await client.text_to_video.stream("waves").save(tmp_path / "missing" / "out.mp4")
    assert server.seen == []
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


@pytest.mark.crowd
async def test_a_large_result_is_saved_without_being_held(
    driver: Driver, server: FileServer, flow: Callable[[Any], None], tmp_path: Path
) -> None:
    size, piece = 64 * MIB, bytes(MIB)

    def page(request: Any) -> None:
        request.send_response(200)
        request.send_header("content-length", str(size))
        request.end_headers()
        for _ in range(size // len(piece)):
            request.wfile.write(piece)

    flow(video)
    server.pages |= {"/submit": (200, {}, b"{}"), "/result": page}
    async with driver.client(base_url=server.url, input_policy=InputPolicy(limit=MIB)) as client:
        tracemalloc.start()
        try:
            await client.text_to_video.stream("waves").save(tmp_path / "out.mp4")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (tmp_path / "out.mp4").stat().st_size == size
    assert most < 32 * MIB  # what the flow sees is 8 MiB of it, twice while it is handed over


async def test_a_job_is_taken_up_again(driver: Driver, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    def watch(call: Call, job: Job) -> Flow[Media]:
        media: Media = yield Fetch(request=Request(method="GET", url=f"{server.url}{job.state['path']}", auth="none"))
        return media

    row = msgspec.structs.replace(PROVIDERS["together"], resume={"text-to-video": watch})
    monkeypatch.setitem(PROVIDERS, "together", row)
    server.pages["/result"] = (200, {}, VIDEO)
    job = Job(provider="together", task="text-to-video", id="7", model="org/m", state={"path": "/result"})
    client = driver.client(token="sk-of-together", provider="together", input_policy=ANYWHERE)
    async with client:
        for given in (job, job.to_json()):
            run = client.resume(given)
            assert await run.result() == VIDEO
            assert run.model == "org/m"


@pytest.mark.parametrize("job", ["{}", b"\xff", 3])
async def test_what_is_no_job_is_refused(driver: Driver, job: Any) -> None:
    client = driver.client(token="sk-x", provider="together")
    with pytest.raises(InvalidParameterError, match="resume takes a Job"):
        client.resume(job)
