"""What each of fal's tasks sends and is answered with: data for test_fal.py and test_fal_speech.py."""

from __future__ import annotations

import base64
import json
from typing import Any

from headwater.media.media import Media
from headwater.protocol.flow import Loaded, Request
from headwater.providers import flow_for, provider
from support.flow_player import Answer, Played, call, play, reply
from support.pipeline_cases import FLAC, MP4, PNG

ROUTER = "https://router.huggingface.co/fal-ai"
WAV = b"RIFF\x24\0\0\0WAVEfmt "
PATH = "/fal-ai/flux/requests/r-1"
LINK = "https://a.example/in.png"
STORED = {"url": "https://v3.fal.media/files/x", "content_type": "application/octet-stream"}
IMAGE = {"images": [STORED], "has_nsfw_concepts": [False]}
HUB = "https://huggingface.co"


def data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


PICTURE = Loaded(mime_type="image/png", data=PNG)
URL = data("image/png", PNG)
SIZE, SQUARE = {"width": 512, "height": 256}, {"image_size": "square"}
EDITED, MASKED = {"image_url": URL, "image_urls": [URL]}, {"image_url": URL, "sync_mode": True}
SPOKEN = Loaded(mime_type="audio/wav", data=WAV)

# task, parameters, what Load gives, facts of the call, the body; the id is fal-ai/flux/dev unless given
BODIES: list[tuple[str, dict[str, Any], Loaded | None, dict[str, Any], dict[str, Any]]] = [
    ("text-to-image", {"prompt": "p"}, None, {}, {"prompt": "p"}),
    ("text-to-image", {"prompt": "p", **SIZE, "seed": 3}, None, {}, {"prompt": "p", "image_size": SIZE, "seed": 3}),
    ("text-to-image", {"prompt": "p", "width": 512}, None, {}, {"prompt": "p", "width": 512}),
    ("text-to-image", {"prompt": "p"}, None, {"extra": SQUARE}, {"prompt": "p", **SQUARE}),
    (
        "text-to-image",
        {"prompt": "p"},
        None,
        {"hub_id": "org/lora:fal-ai", "adapter": "a b.safetensors"},
        {"prompt": "p", "loras": [{"path": f"{HUB}/org/lora/resolve/main/a%20b.safetensors", "scale": 1}]},
    ),
    (
        "text-to-image",
        {"prompt": "p"},
        None,
        {"hub_id": "org/l", "adapter": "w", "model": "fal-ai/lora"},
        {
            "prompt": "p",
            "model_name": "stabilityai/stable-diffusion-xl-base-1.0",
            "loras": [{"path": f"{HUB}/org/l/resolve/main/w", "scale": 1}],
        },
    ),
    (
        "text-to-image",
        {"prompt": "p"},
        None,
        {"hub_id": "org/l", "adapter": "w", "extra": {"loras": [{"path": "mine"}]}},
        {"prompt": "p", "loras": [{"path": "mine"}]},
    ),
    (
        "text-to-video",
        {"prompt": "p", "num_frames": 9, "negative_prompt": ["a", "b"]},
        None,
        {},
        {"prompt": "p", "num_frames": 9, "negative_prompt": "a, b"},
    ),
    ("image-to-image", {"image": b"", "prompt": "p"}, PICTURE, {}, {**EDITED, "prompt": "p"}),
    (
        "image-to-image",
        {"image": LINK, "target_size": SIZE},
        Loaded(mime_type="image/jpeg", url=LINK),
        {},
        {"image_url": LINK, "image_urls": [LINK], "image_size": SIZE},
    ),
    ("image-to-image", {"image": b""}, PICTURE, {"extra": SQUARE}, {**EDITED, **SQUARE}),
    ("image-to-video", {"image": b"", "target_size": SIZE}, PICTURE, {}, {"image_url": URL, "target_size": SIZE}),
    ("image-text-to-image", {"image": b"", "prompt": "p"}, PICTURE, {}, {**EDITED, "prompt": "p"}),
    ("image-text-to-video", {"image": b"", "prompt": "p"}, PICTURE, {}, {"image_url": URL, "prompt": "p"}),
    ("image-text-to-video", {"prompt": "p"}, None, {}, {"prompt": "p"}),
    ("image-segmentation", {"image": b"", "threshold": 0.5}, PICTURE, {}, {**MASKED, "threshold": 0.5}),
    ("audio-to-audio", {"audio": b""}, SPOKEN, {}, {"audio_url": data("audio/x-wav", WAV)}),
    ("text-to-audio", {"text": "rain"}, None, {}, {"prompt": "rain"}),
]

RESULTS: dict[str, tuple[dict[str, Any], Media]] = {
    "audio-to-audio": ({"audio": STORED, "text": "hello"}, Media(FLAC, "audio/flac")),
    "image-segmentation": ({"image": STORED}, Media(PNG, "image/png")),
    "image-text-to-image": (IMAGE, Media(PNG, "image/png")),
    "image-text-to-video": ({"video": STORED}, Media(MP4, "video/mp4")),
    "image-to-image": ({"image": STORED}, Media(PNG, "image/png")),
    "image-to-video": ({"video": STORED}, Media(MP4, "video/mp4")),
    "text-to-audio": ({"audio_file": STORED}, Media(FLAC, "audio/flac")),
    "text-to-image": (IMAGE, Media(PNG, "image/png")),
    "text-to-video": ({"video": STORED}, Media(MP4, "video/mp4")),
}


def accepted(path: str = PATH, **more: Any) -> Answer:
    return reply({"status": "IN_QUEUE", "request_id": "r-1", "response_url": f"https://queue.fal.run{path}", **more})


def status(state: str, **more: Any) -> Answer:
    return reply({"status": state, "request_id": "r-1", **more}, 202)


def logs(*messages: str) -> list[dict[str, str]]:
    return [{"message": message, "level": "INFO"} for message in messages]


def sent_in(request: Request) -> Any:
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


def ask(task: str, routed: bool = False, **facts: Any) -> Any:
    facts = {
        "model": "fal-ai/flux/dev",
        "base": ROUTER if routed else provider("fal-ai").base,
        "routed": routed,
        **facts,
    }
    facts.setdefault("parameters", {"prompt": "p"})
    return flow_for("fal-ai", task)(call(task, "fal-ai", **facts))


def run(*answers: Answer, task: str = "text-to-image", **facts: Any) -> Played:
    return play(ask(task, **facts), *answers)
