"""OpenAI's spellings of images and sounds give what OpenAI's client gives, at servers of every dialect."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from PIL import Image
from support.drivers import Driver, in_thread

from headwater import HeadwaterError, InvalidParameterError, InvalidRequestError, SpeechOutput, TranscriptionVerbose

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

URL: Final = "http://h:1/v1"
SRT: Final = "1\n00:00:00,000 --> 00:00:01,500\nHi\n\n2\n00:00:01,500 --> 00:00:02,000\nthere\n\n"
VTT: Final = "WEBVTT\n\n00:00.000 --> 00:01.500\nHi\n\n"


def picture(shade: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), shade).save(file, kind)
    return file.getvalue()


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Server:
    """Answers with what `answer` makes of a request, and keeps the requests."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(await request.aread())
        return self.answer(request)

    @property
    def sent(self) -> list[Any]:
        return [json.loads(body) for body in self.bodies if body]


def client_of(driver: Driver, server: Server, **settings: Any) -> Any:
    made = driver.client(transport=httpx.MockTransport(server), retries=0, **settings)
    return made.client if driver.blocking else made


async def ask(driver: Driver, function: Callable[..., Any], **kwargs: Any) -> Any:
    return await in_thread(function, **kwargs) if driver.blocking else await function(**kwargs)


# images


@pytest.mark.parametrize("at_once", [4, 2, 1])
async def test_n_images(driver: Driver, at_once: int) -> None:
    made: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        count = min(at_once, json.loads(request.content).get("n", 1))
        new = [picture(len(made) + number, "JPEG") for number in range(count)]
        made.extend(new)
        usage = {"total_tokens": 9, "input_tokens": 4, "output_tokens": 5, "input_tokens_details": {"text_tokens": 4}}
        data = [{"b64_json": in_base64(image), "revised_prompt": "p"} for image in new]
        return httpx.Response(200, json={"created": 1700000000, "data": data, "usage": usage})

    server = Server(answer)
    client = client_of(driver, server, base_url=URL)
    given = {"model": "gpt-image-1", "prompt": "waves", "size": "64x32", "quality": "low"}
    images = await ask(driver, client.images.generate, n=3, **given)
    assert sorted(base64.b64decode(image.b64_json) for image in images.data) == sorted(made)
    assert len(images.data) == len(made) == max(3, len(made))
    assert all(image.image.size == (8, 8) and image.url is None for image in images.data)
    assert (images.created, images.data[0].revised_prompt) == (1700000000, "p")
    assert (images.usage.total_tokens, images.usage.input_tokens, images.usage.output_tokens) == (9, 4, 5)
    assert images.usage.input_tokens_details == {"text_tokens": 4}
    counts = {4: [3], 2: [3, 1], 1: [3, 1, 1]}[at_once]
    assert server.sent == [{**given, **({"n": count} if count > 1 else {})} for count in counts]


@pytest.mark.parametrize("fails", [False, True])
async def test_further_images_are_made_at_the_same_time(driver: Driver, fails: bool) -> None:
    """Each waits until all are under way; one that fails gives the others up, and is the error."""
    asked = left = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked, left
        asked += 1
        try:
            while 1 < asked < 4:
                await anyio.sleep(0.001)
            if fails and asked == 4:
                asked += 1
                return httpx.Response(400, json={"error": {"message": "no more"}})
            if fails and asked > 4:
                await anyio.sleep(60)
        except BaseException:
            left += 1
            raise
        return httpx.Response(200, json={"data": [{"b64_json": in_base64(picture(1))}]})

    made = driver.client(base_url=URL, transport=httpx.MockTransport(answer), retries=0)
    client = made.client if driver.blocking else made
    if not fails:
        assert len((await ask(driver, client.images.generate, prompt="waves", n=4)).data) == 4
        return
    with pytest.raises(InvalidRequestError, match="no more"):
        await ask(driver, client.images.generate, prompt="waves", n=4)
    assert left == 2


@pytest.mark.parametrize("n", [None, 1])
async def test_what_nobody_asked_for_is_not_sent(driver: Driver, n: int | None) -> None:
    server = Server(lambda _: httpx.Response(200, json={"data": [{"b64_json": in_base64(picture(1))}]}))
    client = client_of(driver, server, base_url=URL)
    images = await ask(driver, client.images.generate, prompt="waves", n=n)
    image = await ask(driver, client.text_to_image, prompt="waves")
    assert server.sent == [{"prompt": "waves"}] * 2
    assert (len(images.data), images.usage, images.created > 1.7e9, image.size) == (1, None, True, (8, 8))


@pytest.mark.parametrize("url", ["http://h:1/files/1.png", "/files/1.png", "/v1/files/1.png?sig=a%2Fb=="])
async def test_images_behind_urls(driver: Driver, url: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, content=picture(7), headers={"content-type": "image/png"})
        return httpx.Response(200, json={"data": [{"url": url}]})

    server = Server(answer)
    client = client_of(driver, server, base_url=URL)
    images = await ask(driver, client.images.generate, prompt="waves", response_format="url")
    (image,) = images.data
    assert base64.b64decode(image.b64_json) == picture(7) and image.image.size == (8, 8)
    assert image.url == (url if url.startswith("http") else None)
    assert server.sent == [{"prompt": "waves", "response_format": "url"}]


@pytest.mark.parametrize(
    "answer", [{"images": ["{}"]}, {"images": [{"url": "{}"}]}, {"output": "{}"}, {"image": "{}"}, {"data": ["{}"]}]
)
async def test_images_under_other_names(driver: Driver, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).replace("{}", f"data:image/png;base64,{in_base64(picture(3))}")
    server = Server(lambda _: httpx.Response(200, content=body, headers={"content-type": "application/json"}))
    client = client_of(driver, server, base_url=URL)
    assert (await ask(driver, client.text_to_image, prompt="waves")).tobytes() == bytes([3]) * 64


async def test_one_request_an_image_where_there_is_no_n(driver: Driver) -> None:
    server = Server(lambda _: httpx.Response(200, content=picture(1), headers={"content-type": "image/png"}))
    client = client_of(driver, server, base_url="http://h:1/models/x")
    images = await ask(driver, client.images.generate, prompt="waves", n=2, response_format="b64_json")
    assert [image.image.size for image in images.data] == [(8, 8)] * 2
    assert base64.b64decode(images.data[0].b64_json)[:4] == b"\x89PNG"
    assert server.sent == [{"inputs": "waves", "parameters": {}}] * 2


@pytest.mark.parametrize(
    ("provider", "form", "sent"),
    [
        ("together", "b64_json", "base64"),
        ("together", "url", "url"),
        ("nscale", None, "b64_json"),
        ("openai", None, None),
    ],
)
async def test_the_format_in_the_vendors_words(
    driver: Driver, provider: str, form: str | None, sent: str | None
) -> None:
    server = Server(lambda _: httpx.Response(400, json={"error": "no"}))
    client = client_of(driver, server, provider=provider, api_key="k", model_mapping={"org/m": "m"})
    with pytest.raises(HeadwaterError):
        await ask(driver, client.images.generate, prompt="waves", model="org/m", response_format=form)
    assert server.sent[0].get("response_format") == sent


# sounds


async def test_a_sound_is_read_and_written_as_openai_has_it(driver: Driver, tmp_path: Path) -> None:
    data = b"fLaC" + bytes(range(200))
    server = Server(lambda _: httpx.Response(200, content=data, headers={"content-type": "audio/flac"}))
    client = client_of(driver, server, base_url=URL)
    sound = await ask(driver, client.audio.speech.create, input="hi", model="m", voice="alloy")
    assert isinstance(sound, SpeechOutput) and sound.mime_type == "audio/flac"
    assert sound == sound.content == sound.read() == await sound.aread() == data
    assert [len(piece) for piece in sound.iter_bytes(100)] == [100, 100, 4]
    assert list(sound.iter_bytes()) == [piece async for piece in sound.aiter_bytes()] == [data]
    await in_thread(sound.write_to_file, tmp_path / "a")
    await in_thread(sound.stream_to_file, str(tmp_path / "b"))
    await sound.astream_to_file(tmp_path / "c")
    sound.close()
    await sound.aclose()
    assert [(tmp_path / name).read_bytes() for name in "abc"] == [data] * 3


# transcripts


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "application/json", "text/html", "text/vtt", ""])
@pytest.mark.parametrize(("form", "text"), [("srt", SRT), ("vtt", VTT), ("text", "Hi there\n")])
async def test_a_text_is_given_as_it_was_asked_for(
    driver: Driver, form: str, text: str, content_type: str, stream: bool
) -> None:
    if stream and form == "text" and content_type != "text/plain; charset=utf-8":
        pytest.skip("a stream whose label says that it is another thing")
    server = Server(lambda _: httpx.Response(200, content=text.encode(), headers={"content-type": content_type}))
    client = client_of(driver, server, base_url=URL)
    create = client.audio.transcriptions.create
    given = await ask(driver, create, file=b"fLaC", model="m", response_format=form, stream=stream)
    if stream:
        run = given
        pieces = await in_thread(list, run) if driver.blocking else [piece async for piece in run]
        given = (await in_thread(run.result) if driver.blocking else await run.result()).text
        assert "".join(piece.text for piece in pieces) == given
    assert given == text
    (body,) = server.bodies
    assert f'name="response_format"\r\n\r\n{form}\r\n'.encode() in body
    assert (b'name="stream"' in body) == (stream and form == "text")


@pytest.mark.parametrize("form", ["srt", "vtt"])
async def test_a_text_that_was_not_given_is_an_error(driver: Driver, form: str) -> None:
    server = Server(lambda _: httpx.Response(200, json={"text": "Hi"}))
    client = client_of(driver, server, base_url=URL)
    with pytest.raises(HeadwaterError, match=f"asked for {form}, and answered with JSON"):
        await ask(driver, client.audio.transcriptions.create, file=b"fLaC", response_format=form)


async def test_a_text_in_json(driver: Driver) -> None:
    for answer, form, text in [
        ({"text": "Hi"}, "text", "Hi"),
        ({"text": SRT}, "srt", SRT),
        (SRT, "srt", SRT),
        ("Hi", "text", "Hi"),
    ]:
        server = Server(lambda _, answer=answer: httpx.Response(200, json=answer))  # type: ignore[misc]
        create = client_of(driver, server, base_url=URL).audio.transcriptions.create
        assert await ask(driver, create, file=b"fLaC", response_format=form) == text


async def test_everything_that_was_said_with_its_times(driver: Driver) -> None:
    said = {
        "text": "Hi",
        "language": "english",
        "duration": "1.5",
        "segments": [{"id": 0, "start": 0, "end": 1.5, "text": "Hi", "avg_logprob": -0.3}, {"id": "x", "text": "?"}],
        "words": [{"word": "Hi", "start": 0.0, "end": 0.5}],
    }
    server = Server(lambda _: httpx.Response(200, json=said))
    client = client_of(driver, server, base_url=URL)
    create = client.audio.transcriptions.create
    heard = await ask(driver, create, file=b"fLaC", response_format="verbose_json")
    assert isinstance(heard, TranscriptionVerbose)
    assert heard.segments is not None and heard.words is not None
    assert (heard.text, heard.language, heard.duration) == ("Hi", "english", 1.5)
    assert [(piece.text, piece.start, piece.end) for piece in heard.segments] == [("Hi", 0, 1.5), ("?", None, None)]
    assert (heard.segments[0]["avg_logprob"], heard.words[0].word, heard.raw) == (-0.3, "Hi", said)
    plain = await ask(driver, create, file=b"fLaC", response_format="json")
    assert (plain.text, type(plain).__name__) == ("Hi", "AutomaticSpeechRecognitionOutput")


@pytest.mark.parametrize("provider", ["hf-inference", "fal-ai", "replicate"])
async def test_who_cannot_write_a_text_says_so(driver: Driver, provider: str) -> None:
    server = Server(lambda _: httpx.Response(200, json={"text": "Hi", "chunks": [{"text": "Hi", "timestamp": [0, 1]}]}))
    client = client_of(driver, server, provider=provider, api_key="k", model_mapping={"org/m": "org/m"})
    create = client.audio.transcriptions.create
    for form in ("srt", "vtt", "text"):
        with pytest.raises(InvalidParameterError, match=f"{provider} gives no transcript as '{form}'"):
            await ask(driver, create, file=b"fLaC", model="org/m", response_format=form)
    assert server.bodies == []
    if provider != "replicate":
        heard = await ask(driver, create, file=b"fLaC", model="org/m", response_format="verbose_json")
        assert [(piece.text, piece.start, piece.end) for piece in heard.segments] == [("Hi", 0, 1)]


async def test_a_bare_host_is_asked_in_the_dialect_that_knows_it(driver: Driver) -> None:
    server = Server(lambda request: httpx.Response(200, content=SRT if "transcriptions" in str(request.url) else b"{}"))
    client = client_of(driver, server, base_url="http://h:1")
    assert await ask(driver, client.audio.transcriptions.create, file=b"fLaC", response_format="srt") == SRT


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (("a.mp3", b"samples"), b'filename="a.mp3"'),
        (("b.webm", bytearray(b"samples"), "audio/webm"), b'filename="b.webm"'),
        ((None, b"samples"), b"samples"),
    ],
)
async def test_a_file_as_a_tuple(driver: Driver, file: Any, name: bytes) -> None:
    server = Server(lambda _: httpx.Response(200, json={"text": "hi"}))
    create = client_of(driver, server, base_url=URL).audio.transcriptions.create
    assert (await ask(driver, create, file=file, model="whisper-1")).text == "hi"
    assert name in server.bodies[0] and b"samples" in server.bodies[0]
    with pytest.raises(InvalidParameterError, match="tuple"):
        await ask(driver, create, file=(b"samples",), model="whisper-1")
