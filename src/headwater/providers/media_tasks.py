"""Which providers do which tasks of images, sound and video, but for those that do nothing else: tables of flows.

The rows take them in. What a job's flow submitted can be picked up again by the flow that `RESUMED` has for its task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from ..events import Job
from ..flow import Call, Flow
from . import black_forest_labs, images, novita_video, speech, together_media, transcriptions, wavespeed, zai
from .openai import Flows

Resumes: TypeAlias = Callable[[Call, Job], Flow[Any]]

HEAR: Final = "automatic-speech-recognition"
SPEAK: Final = "text-to-speech"
DRAW: Final = "text-to-image"
REDRAW: Final = "image-to-image"
FILM: Final = "text-to-video"
ANIMATE: Final = "image-to-video"

_WAVESPEED: Final[Mapping[str, Flows]] = {
    DRAW: wavespeed.of_text,
    FILM: wavespeed.of_text,
    REDRAW: wavespeed.of_image,
    ANIMATE: wavespeed.of_image,
    "image-text-to-image": wavespeed.of_image_and_text,
    "image-text-to-video": wavespeed.of_image_and_text,
}

TASKS: Final[Mapping[str, Mapping[str, Flows]]] = {
    "black-forest-labs": {DRAW: black_forest_labs.text_to_image},
    "deepinfra": {
        HEAR: transcriptions.hearing(transcriptions.DEEPINFRA),
        SPEAK: speech.speaking(speech.DEEPINFRA),
    },
    "groq": {HEAR: transcriptions.hearing(transcriptions.GROQ), SPEAK: speech.speaking(speech.GROQ)},
    "hyperbolic": {DRAW: images.drawing(images.HYPERBOLIC)},
    "nebius": {DRAW: images.drawing(images.NEBIUS)},
    "novita": {FILM: novita_video.text_to_video},
    "nscale": {DRAW: images.drawing(images.NSCALE)},
    "openai": {
        HEAR: transcriptions.hearing(transcriptions.OPENAI),
        SPEAK: speech.speaking(speech.OPENAI),
        DRAW: images.drawing(images.OPENAI),
    },
    "together": {
        HEAR: transcriptions.hearing(transcriptions.TOGETHER),
        SPEAK: speech.speaking(speech.TOGETHER),
        DRAW: images.drawing(images.TOGETHER),
        REDRAW: together_media.image_to_image,
        FILM: together_media.text_to_video,
        ANIMATE: together_media.image_to_video,
    },
    "wavespeed": _WAVESPEED,
    "zai-org": {DRAW: zai.text_to_image, "image-to-text": zai.image_to_text},
}

RESUMED: Final[Mapping[str, Mapping[str, Resumes]]] = {
    "black-forest-labs": {DRAW: black_forest_labs.follow},
    "novita": {FILM: novita_video.follow},
    "together": {FILM: together_media.follow, ANIMATE: together_media.follow},
    "wavespeed": dict.fromkeys(_WAVESPEED, wavespeed.follow),
    "zai-org": {DRAW: zai.follow},
}
