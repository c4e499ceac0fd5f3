"""What every provider's tasks of images, sound and video send: data for test_media_requests.py.

Facts are the vendors' documentation, and what Hugging Face's clients are recorded to exchange with them.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import msgspec
from PIL import Image

from headwater.media.images import data_url
from headwater.protocol.flow import Loaded


def picture(kind: str) -> bytes:
    """An image file of four by three pixels."""
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "white").save(file, kind)
    return file.getvalue()


PNG, JPEG, FLAC = picture("PNG"), picture("JPEG"), b"fLaC" + bytes(60)
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(60)
B64 = base64.b64encode(PNG).decode()
PNG_URL, JPEG_URL = data_url(PNG, "image/png"), data_url(JPEG, "image/jpeg")
CDN = "https://cdn.example/out"
IMAGE = Loaded(mime_type="image/jpeg", data=JPEG, size=len(JPEG))
KEPT = Loaded(mime_type="image/png", url="https://i.example/a.png")
SOUND = Loaded(mime_type="audio/flac", data=FLAC, size=len(FLAC))

HEAR, SPEAK, DRAW = "automatic-speech-recognition", "text-to-speech", "text-to-image"
REDRAW, FILM, ANIMATE = "image-to-image", "text-to-video", "image-to-video"
BOTH_IMAGE, BOTH_VIDEO = "image-text-to-image", "image-text-to-video"


class Case(msgspec.Struct, kw_only=True):
    """One request. `path`: after the provider's base. `body`: of JSON. `warned`: what a warning names."""

    provider: str
    task: str
    path: str
    given: dict[str, Any]
    body: dict[str, Any]
    model: str = "org/m"
    extra: dict[str, Any] = {}
    loaded: Loaded | None = None
    warned: str | None = None

    def __str__(self) -> str:
        return f"{self.provider}-{self.task}-{self.model.partition('/')[2]}"


DRAWN = {
    "prompt": "a cat",
    "width": 64,
    "height": 32,
    "num_inference_steps": 4,
    "guidance_scale": 2.5,
    "negative_prompt": "dogs",
    "seed": 7,
}
PLAIN = {"prompt": "a cat", "negative_prompt": "dogs", "seed": 7}
STEERED = {"model": "org/m", "guidance_scale": 2.5, **PLAIN}

REQUESTS = [
    Case(
        provider="together",
        task=DRAW,
        path="/v1/images/generations",
        given=DRAWN,
        body={**STEERED, "width": 64, "height": 32, "steps": 4, "response_format": "base64"},
    ),
    Case(
        provider="nscale",
        task=DRAW,
        path="/v1/images/generations",
        given=DRAWN,
        extra={"cfg_scale": 1, "quality": "hd"},
        body={**STEERED, "size": "64x32", "quality": "hd", "response_format": "b64_json"},
        warned="cfg_scale, num_inference_steps",
    ),
    Case(
        provider="nebius",
        task=DRAW,
        path="/v1/images/generations",
        given=DRAWN,
        extra={"response_format": "png"},
        body={
            "model": "org/m",
            **PLAIN,
            "width": 64,
            "height": 32,
            "num_inference_steps": 4,
            "response_format": "b64_json",
        },
        warned="guidance_scale",
    ),
    Case(
        provider="hyperbolic",
        task=DRAW,
        path="/v1/images/generations",
        given={name: value for name, value in DRAWN.items() if name != "height"},
        body={"model_name": "org/m", **PLAIN, "width": 64, "height": 512, "steps": 4, "cfg_scale": 2.5},
    ),
    Case(
        provider="openai",
        task=DRAW,
        path="/v1/images/generations",
        given=DRAWN,
        model="gpt-image-1",
        extra={"quality": "low", "model": "not-this"},
        body={"model": "not-this", "prompt": "a cat", "size": "64x32", "quality": "low"},
        warned="guidance_scale, negative_prompt, num_inference_steps, seed",
    ),
    Case(
        provider="zai-org",
        task=DRAW,
        path="/api/paas/v4/async/images/generations",
        given={"prompt": "a cat", "width": 64},
        body={"model": "org/m", "prompt": "a cat"},
        warned="width",
    ),
    Case(
        provider="zai-org",
        task=DRAW,
        path="/api/paas/v4/async/images/generations",
        given={"prompt": "a cat", "width": 64, "height": 32, "seed": 1},
        model="z/sized",
        body={"model": "z/sized", "prompt": "a cat", "size": "64x32", "seed": 1},
    ),
    Case(
        provider="black-forest-labs",
        task=DRAW,
        path="/v1/flux-dev",
        given=DRAWN,
        model="flux-dev",
        body={**PLAIN, "width": 64, "height": 32, "steps": 4, "guidance": 2.5},
    ),
    Case(
        provider="wavespeed",
        task=DRAW,
        path="/api/v3/org/m",
        given={"prompt": "a cat", "seed": 7},
        body={"prompt": "a cat", "seed": 7},
    ),
    Case(
        provider="wavespeed",
        task=FILM,
        path="/api/v3/org/m",
        given={"prompt": "a cat", "num_inference_steps": 3},
        extra={"duration": 5},
        body={"prompt": "a cat", "num_inference_steps": 3, "duration": 5},
    ),
    Case(
        provider="wavespeed",
        task=REDRAW,
        path="/api/v3/org/m",
        given={"image": JPEG, "prompt": "a cat"},
        loaded=IMAGE,
        body={"prompt": "a cat", "image": JPEG_URL},
    ),
    Case(
        provider="wavespeed",
        task=ANIMATE,
        path="/api/v3/org/m",
        given={"image": "https://i.example/a.png"},
        loaded=KEPT,
        body={"image": "https://i.example/a.png"},
    ),
    Case(
        provider="wavespeed",
        task=BOTH_IMAGE,
        path="/api/v3/org/m",
        given={"image": JPEG, "prompt": "a cat"},
        loaded=IMAGE,
        body={"prompt": "a cat", "image": JPEG_URL, "images": [JPEG_URL]},
    ),
    Case(
        provider="wavespeed",
        task=BOTH_VIDEO,
        path="/api/v3/org/m",
        given={"image": JPEG, "prompt": "a cat"},
        loaded=IMAGE,
        body={"prompt": "a cat", "image": JPEG_URL, "images": [JPEG_URL]},
    ),
    Case(
        provider="together",
        task=REDRAW,
        path="/v1/images/generations",
        given={"image": JPEG, "num_inference_steps": 4, "target_size": {"width": 64, "height": 32}},
        loaded=IMAGE,
        body={
            "model": "org/m",
            "prompt": "",
            "response_format": "base64",
            "reference_images": [JPEG_URL],
            "steps": 4,
            "width": 64,
            "height": 32,
        },
    ),
    Case(
        provider="together",
        task=REDRAW,
        path="/v1/images/generations",
        given={"image": "https://i.example/a.png", "prompt": "a dog"},
        model="black-forest-labs/FLUX.1-kontext-dev",
        loaded=KEPT,
        body={
            "model": "black-forest-labs/FLUX.1-kontext-dev",
            "prompt": "a dog",
            "response_format": "base64",
            "image_url": "https://i.example/a.png",
        },
    ),
    Case(
        provider="together",
        task=FILM,
        path="/v2/videos",
        given={"prompt": "a cat", "num_inference_steps": 4, "negative_prompt": ["a", "b"], "num_frames": 9},
        extra={"seconds": "5"},
        body={"model": "org/m", "prompt": "a cat", "steps": 4, "negative_prompt": "a, b", "seconds": "5"},
        warned="num_frames",
    ),
    Case(
        provider="together",
        task=ANIMATE,
        path="/v2/videos",
        given={"image": JPEG, "prompt": "it runs", "target_size": {"width": 64, "height": 32}},
        loaded=IMAGE,
        body={
            "model": "org/m",
            "prompt": "it runs",
            "width": 64,
            "height": 32,
            "frame_images": [{"input_image": JPEG_URL, "frame": "first"}],
        },
    ),
    Case(
        provider="novita",
        task=FILM,
        path="/v3/async/wan-t2v",
        given={"prompt": "a cat", "num_inference_steps": 4, "negative_prompt": ["a", "b"], "num_frames": 9},
        model="wan-t2v",
        body={"prompt": "a cat", "steps": 4, "negative_prompt": "a, b", "num_frames": 9},
    ),
    Case(
        provider="zai-org",
        task="image-to-text",
        path="/api/paas/v4/layout_parsing",
        given={"image": JPEG, "max_new_tokens": 5},
        loaded=IMAGE,
        extra={"start_page_id": 1},
        body={"model": "org/m", "file": JPEG_URL, "start_page_id": 1},
        warned="max_new_tokens",
    ),
    Case(
        provider="together",
        task=SPEAK,
        path="/v1/audio/speech",
        given={"text": "Hi", "temperature": 0.5},
        model="hexgrad/Kokoro-82M",
        body={"model": "hexgrad/Kokoro-82M", "input": "Hi", "temperature": 0.5, "voice": "af_alloy"},
    ),
    Case(
        provider="together",
        task=SPEAK,
        path="/v1/audio/speech",
        given={"text": "Hi"},
        extra={"voice": "x"},
        body={"model": "org/m", "input": "Hi", "voice": "x"},
    ),
    Case(
        provider="deepinfra",
        task=SPEAK,
        path="/v1/openai/audio/speech",
        given={"text": "Hi", "top_p": 0.5},
        body={"model": "org/m", "input": "Hi", "top_p": 0.5},
    ),
    Case(
        provider="groq",
        task=SPEAK,
        path="/openai/v1/audio/speech",
        given={"text": "Hi"},
        extra={"voice": "troy", "response_format": "wav"},
        body={"model": "org/m", "input": "Hi", "voice": "troy", "response_format": "wav"},
    ),
    Case(
        provider="openai",
        task=SPEAK,
        path="/v1/audio/speech",
        given={"text": "Hi", "num_beams": 2, "temperature": 0.5},
        model="tts-1",
        body={"model": "tts-1", "input": "Hi", "voice": "alloy"},
        warned="num_beams, temperature",
    ),
]
