"""hf-inference's tasks on pictures, sounds and videos, and those that make them: answers, by the task.

Refuses labels that are none, and questions without a picture. Answers are functions of the bytes that came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from ..wire import DialectAnswer, WholeAnswer
from . import cdn, media
from .fal import media_text
from .hf_tasks import TaskRequest, found_file, wrong

LABELS = ("river", "lighthouse", "heron", "bridge", "mill", "boat", "willow", "otter")
TOP = 5


def seed(asked: TaskRequest) -> str:
    return hashlib.sha256(asked.call.body).hexdigest()


def scores(text: str, labels: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The labels with scores that sum to 1 over all of them, the best first."""
    weights = hashlib.shake_256(text.encode()).digest(len(labels))
    total = sum(weights) + len(labels)
    found: list[dict[str, Any]] = [
        {"score": (weight + 1) / total, "label": label} for label, weight in zip(labels, weights, strict=True)
    ]
    return sorted(found, key=lambda one: -one["score"])[:top]


def classify(asked: TaskRequest) -> DialectAnswer:
    return WholeAnswer(scores(seed(asked), LABELS, asked.given.get("top_k", TOP)))


def candidates(asked: TaskRequest) -> list[str]:
    """The labels, in a list or, as of old, in one string with commas."""
    found = asked.given["candidate_labels"]
    labels = found.split(",") if isinstance(found, str) else found
    if not all(isinstance(label, str) and label.strip() for label in labels):
        raise wrong("Error in `parameters.candidate_labels`: str type expected")
    return [label.strip() for label in labels]


def zero_shot(asked: TaskRequest) -> DialectAnswer:
    labels = candidates(asked)
    return WholeAnswer(scores(seed(asked), labels, len(labels)))


def detect(asked: TaskRequest, labels: Sequence[str] = LABELS) -> DialectAnswer:
    """As many boxes as there are scores above the threshold, each in the picture."""
    width, height = media.size_of(asked.inputs)
    found = [
        one | {"box": {"xmin": 0, "ymin": 0, "xmax": width // number, "ymax": height // number}}
        for number, one in enumerate(scores(seed(asked), labels, TOP), 1)
    ]
    return WholeAnswer([one for one in found if one["score"] >= asked.given.get("threshold", 0.0)])


def zero_shot_detect(asked: TaskRequest) -> DialectAnswer:
    return detect(asked, candidates(asked))


def segment(asked: TaskRequest) -> DialectAnswer:
    """Two masks of the picture's size; without scores for the semantic subtask."""
    size = media.size_of(asked.inputs)
    found = [
        one | {"mask": media.in_base64(media.mask(*size, seed=one["label"]))}
        for one in scores(seed(asked), LABELS, 2)
        if one["score"] >= asked.given.get("threshold", 0.0)
    ]
    if asked.given.get("subtask") == "semantic":
        found = [one | {"score": None} for one in found]
    return WholeAnswer(found)


def depth(asked: TaskRequest) -> DialectAnswer:
    width, height = media.size_of(asked.inputs)
    depths = [[round((x + y) / (width + height), 3) for x in range(min(width, 8))] for y in range(min(height, 8))]
    return WholeAnswer({"predicted_depth": depths, "depth": media.in_base64(media.mask(width, height))})


def caption(asked: TaskRequest) -> DialectAnswer:
    return WholeAnswer([{"generated_text": media_text(seed(asked))}])


def hear(asked: TaskRequest) -> DialectAnswer:
    text = media_text(seed(asked))
    answer: dict[str, Any] = {"text": text}
    if asked.given.get("return_timestamps"):
        answer["chunks"] = [{"text": text, "timestamp": [0.0, 1.0]}]
    return WholeAnswer(answer)


def separate(asked: TaskRequest) -> DialectAnswer:
    """Two sounds out of one, as a model that parts voices does."""
    names = ("label_0", "label_1")
    sounds = [media.in_base64(media.wav(seed(asked) + name)) for name in names]
    return WholeAnswer(
        [{"label": n, "content-type": "audio/wav", "blob": sound} for n, sound in zip(names, sounds, strict=True)]
    )


def speak(asked: TaskRequest) -> DialectAnswer:
    return WholeAnswer(media.wav(seed(asked)), media_type="audio/wav")


def picture(asked: TaskRequest) -> DialectAnswer:
    """A picture of the size that was asked for, or of the one that came."""
    size = cdn.asked_size(dict(asked.given))
    if "target_size" not in asked.given and isinstance(asked.inputs, bytes):
        size = media.size_of(asked.inputs)
    return WholeAnswer(media.png(*size, seed=seed(asked)), media_type="image/png")


def film(asked: TaskRequest) -> DialectAnswer:
    return WholeAnswer(media.mp4(seed(asked)), media_type="video/mp4")


def either(make: Callable[[TaskRequest], DialectAnswer]) -> Callable[[TaskRequest], DialectAnswer]:
    """What needs a picture or a prompt."""

    def made(asked: TaskRequest) -> DialectAnswer:
        if asked.inputs is None and not asked.given.get("prompt"):
            raise wrong("Error in `inputs`: field required")
        return make(asked)

    return made


def questioned(asked: TaskRequest) -> tuple[str, bytes]:
    """A question and its picture: in the inputs, at the root of the body (of old), or, as Hugging Face's clients
    send it, the picture in the inputs and again beside the question."""
    inputs = asked.inputs if isinstance(asked.inputs, dict) else asked.body
    question, image = inputs.get("question"), inputs.get("image")
    if not isinstance(question, str) or not question:
        raise wrong("Error in `inputs.question`: field required")
    if image is None:
        raise wrong("Error in `inputs.image`: field required")
    return question, found_file("image", media.base64_of(image), "inputs.image")


def look(asked: TaskRequest) -> DialectAnswer:
    question, image = questioned(asked)
    found = scores(question + media.in_base64(image), LABELS, asked.given.get("top_k", TOP))
    return WholeAnswer([{"score": one["score"], "answer": one["label"]} for one in found])


def read(asked: TaskRequest) -> DialectAnswer:
    """Answers out of a page; a model with "donut" in its name gives the answer alone."""
    question, image = questioned(asked)
    found = scores(question + media.in_base64(image), LABELS, asked.given.get("top_k", 1))
    if "donut" in asked.call.model:
        return WholeAnswer([{"answer": one["label"]} for one in found])
    return WholeAnswer(
        [{"score": one["score"], "answer": one["label"], "start": at, "end": at} for at, one in enumerate(found)]
    )


ANSWERS: dict[str, Callable[[TaskRequest], DialectAnswer]] = {
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
