"""The tasks that are told the labels with the input: their declarations; the images' result types are in `vision`.

At least one label is needed; an image's classes must be two, as one alone always scores 1.
"""

from typing import Annotated, Unpack

from msgspec import Meta

from ..media.source import Source
from .declaration import CallOptions, task
from .output import Scored
from .parameters import source
from .vision import ZeroShotImageClassificationOutputElement, ZeroShotObjectDetectionOutputElement


class ZeroShotClassificationOutputElement(Scored):
    """One of the candidate labels, and its score: 0 to 1."""


_IMAGE = source("image")


@task("zero-shot-classification", events=ZeroShotClassificationOutputElement)
def zero_shot_classification(
    text: str,
    candidate_labels: Annotated[list[str], Meta(min_length=1)],
    *,
    multi_label: bool | None = False,
    hypothesis_template: str | None = None,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> list[ZeroShotClassificationOutputElement]:
    """Say which of some labels a text fits.

    https://huggingface.co/docs/inference-providers/tasks/zero-shot-classification

    Args:
        text: What to classify.
        candidate_labels: The labels, one at least.
        multi_label: Whether several may fit: then every score stands for itself, else they add up to 1.
        hypothesis_template: The sentence that each label is put into at "{}"; mostly "This example is {}.".
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The labels with their scores, the likeliest first.
    """
    raise NotImplementedError


@task("zero-shot-image-classification", events=ZeroShotImageClassificationOutputElement, check=_IMAGE)
def zero_shot_image_classification(
    image: Source,
    candidate_labels: Annotated[list[str], Meta(min_length=1)],
    *,
    model: str | None = None,
    hypothesis_template: str | None = None,
    **options: Unpack[CallOptions],
) -> list[ZeroShotImageClassificationOutputElement]:
    """Say which of some labels an image fits best.

    https://huggingface.co/tasks/zero-shot-image-classification

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        candidate_labels: The labels, two at least.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        hypothesis_template: The sentence that each label is put into at "{}"; mostly "This is a photo of {}.".
        extra_body: More of the server's parameters, over those above.

    Returns:
        The labels with their scores, which add up to 1, the likeliest first.
    """
    raise NotImplementedError


@task("zero-shot-object-detection", events=ZeroShotObjectDetectionOutputElement, check=_IMAGE)
def zero_shot_object_detection(
    image: Source,
    candidate_labels: Annotated[list[str], Meta(min_length=1)],
    *,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> list[ZeroShotObjectDetectionOutputElement]:
    """Look for named things in an image, and say where they are.

    https://huggingface.co/tasks/zero-shot-object-detection

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        candidate_labels: What to look for, one at least.
        model: Whom to ask; the client's model where it is not given.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The things that were found, each with a `box` in pixels from the top left corner.
    """
    raise NotImplementedError
