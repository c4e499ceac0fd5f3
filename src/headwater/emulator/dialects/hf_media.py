"""hf-inference's tasks on pictures, sounds and videos, and those that make them: answers, by the task.

Refuses labels that are none, and questions without a picture. Answers are functions of the bytes that came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from ..wire import Answer, Whole
from . import cdn, media
from .fal import media_text
from .hf_tasks import Asked, found_file, wrong

LABELS = ("river", "lighthouse", "heron", "bridge", "mill", "boat", "willow", "otter")
TOP = 5


def seed(asked: Asked) -> str:
    return hashlib.sha256(asked.call.body).hexdigest()


def scores(text: str, labels: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The labels with scores that sum to 1 over all of them, the best first."""
    weights = hashlib.shake_256(text.encode()).digest(len(labels))
    total = sum(weights) + len(labels)
    found: list[dict[str, Any]] = [
        {"score": (weight + 1) / total, "label": label} for label, weight in zip(labels, weights, strict=True)
    ]
    return sorted(found, key=lambda one: -one["score"])[:top]


def classify(asked: Asked) -> Answer:
    return Whole(scores(seed(asked), LABELS, asked.given.get("top_k", TOP)))


def candidates(asked: Asked) -> list[str]:
    """The labels, in a list or, as of old, in one string with commas."""
    found = asked.given["candidate_labels"]
    labels = found.split(",") if isinstance(found, str) else found
    if not all(isinstance(label, str) and label.strip() for label in labels):
        raise wrong("Error in `parameters.candidate_labels`: str type expected")
    return [label.strip() for label in labels]


def zero_shot(asked: Asked) -> Answer:
    labels = candidates(asked)
    return Whole(scores(seed(asked), labels, len(labels)))


def detect(asked: Asked, labels: Sequence[str] = LABELS) -> Answer:
    """As many boxes as there are scores above the threshold, each in the picture."""
    width, height = media.size_of(asked.inputs)
    found = [
        one | {"box": {"xmin": 0, "ymin": 0, "xmax": width // number, "ymax": height // number}}
        for number, one in enumerate(scores(seed(asked), labels, TOP), 1)
    ]
    return Whole([one for one in found if one["score"] >= asked.given.get("threshold", 0.0)])


def zero_shot_detect(asked: Asked) -> Answer:
    return detect(asked, candidates(asked))


def segment(asked: Asked) -> Answer:
    """Two masks of the picture's size; without scores for the semantic subtask."""
    size = media.size_of(asked.inputs)
    found = [
        one | {"mask": media.in_base64(media.mask(*size, seed=one["label"]))}
        for one in scores(seed(asked), LABELS, 2)
        if one["score"] >= asked.given.get("threshold", 0.0)
    ]
    if asked.given.get("subtask") == "semantic":
        found = [one | {"score": None} for one in found]
    return Whole(found)


def depth(asked: Asked) -> Answer:
    width, height = media.size_of(asked.inputs)
    depths = [[round((x + y) / (width + height), 3) for x in range(min(width, 8))] for y in range(min(height, 8))]
    return Whole({"predicted_depth": depths, "depth": media.in_base64(media.mask(width, height))})


def caption(asked: Asked) -> Answer:
    return Whole([{"generated_text": media_text(seed(asked))}])


def hear(asked: Asked) -> Answer:
    text = media_text(seed(asked))
    answer: dict[str, Any] = {"text": text}
    if asked.given.get("return_timestamps"):
        answer["chunks"] = [{"text": text, "timestamp": [0.0, 1.0]}]
    return Whole(answer)


def separate(asked: Asked) -> Answer:
    """Two sounds out of one, as a model that parts voices does."""
    names = ("label_0", "label_1")
    sounds = [media.in_base64(media.wav(seed(asked) + name)) for name in names]
    return Whole(
        [{"label": n, "content-type": "audio/wav", "blob": sound} for n, sound in zip(names, sounds, strict=True)]
    )


def speak(asked: Asked) -> Answer:
    return Whole(media.wav(seed(asked)), media_type="audio/wav")


def picture(asked: Asked) -> Answer:
    """A picture of the size that was asked for, or of the one that came."""
    size = cdn.asked_size(dict(asked.given))
    if "target_size" not in asked.given and isinstance(asked.inputs, bytes):
        size = media.size_of(asked.inputs)
    return Whole(media.png(*size, seed=seed(asked)), media_type="image/png")


def film(asked: Asked) -> Answer:
    return Whole(media.mp4(seed(asked)), media_type="video/mp4")


def either(make: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """What needs a picture or a prompt."""

    def made(asked: Asked) -> Answer:
        if asked.inputs is None and not asked.given.get("prompt"):
            raise wrong("Error in `inputs`: field required")
        return make(asked)

    return made


def questioned(asked: Asked) -> tuple[str, bytes]:
    """A question and its picture: in the inputs, at the root of the body (of old), or, as Hugging Face's clients
    send it, the picture in the inputs and again beside the question."""
    inputs = asked.inputs if isinstance(asked.inputs, dict) else asked.body
    question, image = inputs.get("question"), inputs.get("image")
    if not isinstance(question, str) or not question:
        raise wrong("Error in `inputs.question`: field required")
    if image is None:
        raise wrong("Error in `inputs.image`: field required")
    return question, found_file("image", media.base64_of(image), "inputs.image")


def look(asked: Asked) -> Answer:
    question, image = questioned(asked)
    found = scores(question + media.in_base64(image), LABELS, asked.given.get("top_k", TOP))
    return Whole([{"score": one["score"], "answer": one["label"]} for one in found])


def read(asked: Asked) -> Answer:
    """Answers out of a page; a model with "donut" in its name gives the answer alone."""
    question, image = questioned(asked)
    found = scores(question + media.in_base64(image), LABELS, asked.given.get("top_k", 1))
    if "donut" in asked.call.model:
        return Whole([{"answer": one["label"]} for one in found])
    return Whole(
        [{"score": one["score"], "answer": one["label"], "start": at, "end": at} for at, one in enumerate(found)]
    )


ANSWERS: dict[str, Callable[[Asked], Answer]] = {
    "audio-classification": classify,
    "audio-to-audio": separate,
    "automatic-speech-recognition": hear,
    "depth-estimation": depth,
    "document-question-answering": read,
    "image-classification": classify,
    "image-segmentation": segment,
    "image-text-to-image": either(picture),
    "image-text-to-video": either(film),
    "image-to-image": picture,
    "image-to-text": caption,
    "image-to-video": film,
    "object-detection": detect,
    "text-to-audio": speak,
    "text-to-image": picture,
    "text-to-speech": speak,
    "text-to-video": film,
    "video-classification": classify,
    "visual-question-answering": look,
    "zero-shot-image-classification": zero_shot,
    "zero-shot-object-detection": zero_shot_detect,
}
