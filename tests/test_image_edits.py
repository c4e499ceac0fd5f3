"""Images of other images in OpenAI's dialect, their streams, and speech in English: what is sent, and what is read."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest
from PIL import Image
from support.drivers import Driver, in_thread

from headwater import (
    ContentRefusedError,
    DecodeError,
    ImageStreamOutput,
    IncompleteStreamError,
    InvalidParameterError,
    ServerError,
    TranscriptionVerbose,
)
from headwater.emulator.dialects import multipart
from headwater.tasks.image_generation import edit_image

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

URL: Final = "http://h:1/v1"
USAGE: Final = {"total_tokens": 9, "input_tokens": 4, "output_tokens": 5}


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), shade).save(file, "PNG")
    return file.getvalue()


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def whole(*shades: int) -> httpx.Response:
    return httpx.Response(
        200, json={"created": 1700000000, "data": [{"b64_json": in_base64(picture(s))} for s in shades], "usage": USAGE}
    )


def partial(shade: int, number: int, kind: str = "image_edit") -> dict[str, Any]:
    """https://platform.openai.com/docs/api-reference/images-streaming"""
    return {"type": f"{kind}.partial_image", "b64_json": in_base64(picture(shade)), "partial_image_index": number}


def completed(shade: int, kind: str = "image_edit") -> dict[str, Any]:
    return {"type": f"{kind}.completed", "b64_json": in_base64(picture(shade)), "usage": USAGE, "revision": 2}


def sse(*events: Any) -> httpx.Response:
    text = "".join(f"event: {event.get('type', 'error')}\ndata: {json.dumps(event)}\n\n" for event in events)
    return httpx.Response(200, content=text, headers={"content-type": "text/event-stream"})


class Server:
    """Answers with what `answer` makes of a request, and keeps the forms that it was sent."""

    def __init__(self, *answers: httpx.Response, make: Callable[[httpx.Request], httpx.Response] | None = None) -> None:
        self.answers, self.make = list(answers), make
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return self.make(request) if self.make else self.answers.pop(0)

    def form(self, place: int = -1) -> list[tuple[str, Any]]:
        """The fields: a text, or of a file its name and bytes."""
        request = self.requests[place]
        parts = multipart.parts(request.content, request.headers["content-type"])
        return [(part.name, (part.filename, part.data) if part.filename else part.text) for part in parts]


def client_of(driver: Driver, server: Server, **settings: Any) -> Any:
    settings = settings or {"base_url": URL}
    made = driver.client(transport=httpx.MockTransport(server), retries=0, **settings)
    return made.client if driver.blocking else made


async def ask(driver: Driver, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await in_thread(function, *args, **kwargs) if driver.blocking else await function(*args, **kwargs)


async def gone_through(driver: Driver, run: Any) -> tuple[list[Any], Any]:
    if driver.blocking:
        return await in_thread(lambda: list(run)), await in_thread(run.result)
    return [event async for event in run], await run.result()


async def test_one_image(driver: Driver) -> None:
    server = Server(whole(7))
    client = client_of(driver, server)
    image = await ask(
        driver, client.edit_image, picture(1), "a cat", size="64x32", model="m", extra_body={"moderation": "low"}
    )
    assert image.tobytes() == bytes([7]) * 64
    assert str(server.requests[0].url) == f"{URL}/images/edits"
    assert server.form() == [
        ("image", ("image.png", picture(1))),
        ("model", "m"),
        ("prompt", "a cat"),
        ("size", "64x32"),
        ("moderation", "low"),
    ]


async def test_several_images_and_a_mask_in_openais_words(driver: Driver) -> None:
    server = Server(whole(7, 8))
    client = client_of(driver, server)
    images = [("a.png", picture(1)), Image.new("L", (2, 2))]
    made = await ask(
        driver, client.images.edit, image=images, prompt="p", mask=picture(3), n=2, quality="low", moderation="low"
    )
    assert [image.image.getpixel((0, 0)) for image in made.data] == [7, 8]
    assert (made.created, made.usage.total_tokens) == (1700000000, 9)
    fields = server.form()
    assert [name for name, _ in fields] == ["image[]", "image[]", "mask", "prompt", "quality", "moderation", "n"]
    assert fields[0][1] == ("a.png", picture(1)) and fields[-1] == ("n", "2") and ("quality", "low") in fields


async def test_further_images_are_asked_for(driver: Driver) -> None:
    server = Server(make=lambda _: whole(7))
    made = await ask(driver, client_of(driver, server).images.edit, image=picture(1), prompt="p", n=3)
    assert len(made.data) == len(server.requests) == 3


async def test_image_to_image_at_a_server_of_openais_dialect(driver: Driver) -> None:
    server = Server(whole(7))
    client = client_of(driver, server)
    size = {"width": 64, "height": 32}
    image = await ask(driver, client.image_to_image, picture(1), "a cat", target_size=size, negative_prompt="dogs")
    assert image.size == (8, 8)
    fields = [("prompt", "a cat"), ("negative_prompt", "dogs"), ("size", "64x32")]
    assert server.form() == [("image", ("image.png", picture(1))), *fields]


async def test_what_openai_does_not_know(driver: Driver) -> None:
    server = Server(whole(7))
    client = client_of(driver, server, provider="openai", api_key="sk-own-key-000000000000000")
    with pytest.warns(UserWarning, match="openai takes no guidance_scale, negative_prompt for image-to-image"):
        await ask(driver, client.image_to_image, picture(1), "p", model="m", negative_prompt="dogs", guidance_scale=2.0)
    assert server.form()[1:] == [("model", "m"), ("prompt", "p")]


@pytest.mark.parametrize("kind", ["image_edit", "image_generation"])
async def test_a_stream_of_images(driver: Driver, kind: str) -> None:
    """Every event as it comes, an unknown one too; the result is the image that is whole."""
    server = Server(
        sse(partial(1, 0, kind), {"type": f"{kind}.queued", "x": 1}, partial(2, 1, kind), completed(3, kind))
    )
    client = client_of(driver, server)
    if kind == "image_edit":
        run = await ask(
            driver, client.images.edit, image=picture(9), prompt="p", stream=True, partial_images=2, model="m"
        )
        sent = dict(server.form())
        assert (sent["stream"], sent["partial_images"]) == ("true", "2")
    else:
        run = await ask(driver, client.images.generate, prompt="p", stream=True, partial_images=2, model="m")
        sent = json.loads(server.requests[0].content)
        assert sent == {"model": "m", "prompt": "p", "partial_images": 2, "stream": True}
    assert server.requests[0].headers["accept"] == "text/event-stream"
    events, image = await gone_through(driver, run)
    assert all(isinstance(event, ImageStreamOutput) for event in events)
    assert [event.type.partition(".")[2] for event in events] == [
        "partial_image",
        "queued",
        "partial_image",
        "completed",
    ]
    assert [event.partial_image_index for event in events] == [0, None, 1, None]
    assert [event.image and event.image.getpixel((0, 0)) for event in events] == [1, None, 2, 3]
    assert image.getpixel((0, 0)) == 3 and events[-1].usage == USAGE and events[-1]["revision"] == 2


async def test_without_partial_images_nothing_is_streamed(driver: Driver) -> None:
    server = Server(whole(7))
    client = client_of(driver, server)
    events, image = await gone_through(driver, client.edit_image.stream(picture(1), "p"))
    assert events == [image] and dict(server.form()).keys() == {"image", "prompt"}
    server = Server(sse(completed(7)))
    run = await ask(driver, client_of(driver, server).images.edit, image=picture(1), prompt="p", stream=True)
    assert len((await gone_through(driver, run))[0]) == 1 and dict(server.form())["partial_images"] == "0"


@pytest.mark.parametrize("events", [[partial(1, 0)], [partial(1, 0), {"type": "image_edit.queued"}], []])
async def test_a_stream_that_is_cut(driver: Driver, events: list[Any]) -> None:
    server = Server(sse(*events))
    run = client_of(driver, server).edit_image.stream(picture(9), "p", partial_images=1)
    with pytest.raises((IncompleteStreamError, DecodeError)) as caught:
        await gone_through(driver, run)
    if events:
        assert isinstance(caught.value, IncompleteStreamError) and caught.value.partial.getpixel((0, 0)) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "error", "error": {"code": "moderation_blocked", "message": "no", "type": "x"}}, ContentRefusedError),
        ({"type": "error", "error": {"code": "server_error", "message": "no", "type": "server_error"}}, ServerError),
    ],
)
async def test_an_error_in_a_stream(driver: Driver, error: Any, kind: Any) -> None:
    run = client_of(driver, Server(sse(partial(1, 0), error))).edit_image.stream(picture(9), "p", partial_images=1)
    with pytest.raises(kind, match="no"):
        await gone_through(driver, run)


async def test_servers_that_do_not_stream_images(driver: Driver) -> None:
    run = client_of(driver, Server(whole(7))).edit_image.stream(picture(9), "p", partial_images=1)
    events, image = await gone_through(driver, run)
    assert [event.image.getpixel((0, 0)) for event in events] == [7] and image.getpixel((0, 0)) == 7

    def by_url(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, content=picture(6), headers={"content-type": "image/png"})
        return httpx.Response(200, json={"data": [{"url": "http://h:1/files/1.png"}]})

    run = client_of(driver, Server(make=by_url)).edit_image.stream(picture(9), "p", partial_images=1)
    assert (await gone_through(driver, run))[1].getpixel((0, 0)) == 6
    run = client_of(driver, Server(httpx.Response(200, json={"data": []}))).edit_image.stream(
        picture(9), "p", partial_images=1
    )
    with pytest.raises(DecodeError, match="application/json"):
        await gone_through(driver, run)


async def test_a_stream_has_one_image(driver: Driver) -> None:
    client = client_of(driver, Server())
    with pytest.raises(InvalidParameterError, match="n must be 1"):
        await ask(driver, client.images.edit, image=picture(1), prompt="p", n=2, stream=True)


def test_what_is_no_image() -> None:
    for image, words in ([], "empty list"), ([b"a", 3], r"image\[1\] must be"), (3, "image must be"):
        with pytest.raises(InvalidParameterError, match=words):
            edit_image.bind((image, "p"), {})
    with pytest.raises(InvalidParameterError, match="mask must be"):
        edit_image.bind((b"a", "p"), {"mask": 3})


# speech in English


async def test_a_translation(driver: Driver) -> None:
    server = Server(httpx.Response(200, json={"text": "Hello"}))
    client = client_of(driver, server)
    heard = await ask(
        driver, client.audio_translation, b"fLaC" + bytes(60), model="whisper-1", prompt="Hm", temperature=0
    )
    assert heard.text == "Hello" and str(server.requests[0].url) == f"{URL}/audio/translations"
    fields = [("prompt", "Hm"), ("temperature", "0"), ("model", "whisper-1")]
    assert server.form() == [("file", ("audio.flac", b"fLaC" + bytes(60))), *fields]


async def test_a_translation_in_openais_words(driver: Driver) -> None:
    said = {
        "text": "Hello",
        "language": "english",
        "duration": 1.5,
        "segments": [{"text": "Hello", "start": 0, "end": 1}],
    }
    server = Server(httpx.Response(200, json=said), httpx.Response(200, text="Hello\n"))
    client = client_of(driver, server, provider="openai", api_key="sk-own-key-000000000000000")
    sound = ("a.wav", b"RIFF" + bytes(60))
    create = client.audio.translations.create
    heard = await ask(driver, create, file=sound, model="whisper-1", response_format="verbose_json")
    assert isinstance(heard, TranscriptionVerbose) and (heard.language, heard.duration) == ("english", 1.5)
    assert await ask(driver, create, file=sound, model="whisper-1", response_format="text") == "Hello\n"
    assert server.form(0)[1:] == [("response_format", "verbose_json"), ("model", "whisper-1")]
    assert server.form(1)[0][1][0] == "a.wav"


async def test_a_translation_with_times(driver: Driver) -> None:
    said = {"text": "Hello", "segments": [{"text": "Hello", "start": 0, "end": 1}]}
    server = Server(httpx.Response(200, json=said))
    heard = await ask(driver, client_of(driver, server).audio_translation, b"fLaC" + bytes(60), return_timestamps=True)
    assert heard.chunks[0].timestamp == [0, 1] and server.form()[1:] == [("response_format", "verbose_json")]
