"""The tasks that look at an image and say what is there: their declarations, and what they answer with.

Images are sent as they are given: nothing here scales, turns or recompresses one.
"""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

from ..media.images import from_text, open_image
from ..media.source import Source
from ..protocol.events import JobEvent
from .declaration import CallOptions, Declare, task
from .lenient_types import NOT_SAID, Needed, Nullable
from .output import Output, Scored
from .parameters import GenerationParameters, Transform, source

if TYPE_CHECKING:
    from PIL.Image import Image
else:
    Image = str  # base64, or a data URL; `__post_init__` makes it what it is

ImageClassificationOutputTransform: TypeAlias = Transform
ImageSegmentationSubtask: TypeAlias = Literal["instance", "panoptic", "semantic"]


class ImageClassificationOutputElement(Scored):
    """A class of the image, and its score."""


class ZeroShotImageClassificationOutputElement(Scored):
    """One of the candidate labels, and its score; the scores of all add up to 1."""


class ImageSegmentationOutputElement(Output, kw_only=True):
    """A part of the image. `mask`: as large as the image, white where the part is and black elsewhere."""

    label: Nullable[str] = NOT_SAID
    mask: Image
    score: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.mask, str):
            self.mask = open_image(from_text(self.mask))


class ImageToTextOutput(Output):
    """What is in the image, in words."""

    generated_text: str


class BoundingBox(Output):
    """Where a thing is, in pixels from the image's top left corner; fractions of them where a server sends these."""

    xmin: Nullable[int] = NOT_SAID
    ymin: Nullable[int] = NOT_SAID
    xmax: Nullable[int] = NOT_SAID
    ymax: Nullable[int] = NOT_SAID


class ObjectDetectionOutputElement(Output):
    """A thing in the image: what, how surely (0 to 1), and where."""

    label: Nullable[str]
    score: Nullable[float] = NOT_SAID
    box: Nullable[BoundingBox] = NOT_SAID


class ZeroShotObjectDetectionOutputElement(ObjectDetectionOutputElement):
    """A thing in the image that one of the candidate labels names."""


ObjectDetectionBoundingBox = ZeroShotObjectDetectionBoundingBox = BoundingBox


class DepthEstimationOutput(Output):
    """How far things are. `depth`: as an image, the nearer the lighter; `predicted_depth`: as the server sent it."""

    depth: Needed[Image | None] = None
    predicted_depth: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.depth, str):
            self.depth = open_image(from_text(self.depth))


_IMAGE = source("image")


@task("image-classification", events=ImageClassificationOutputElement, check=_IMAGE)
def image_classification(
    image: Source,
    *,
    model: str | None = None,
    function_to_apply: ImageClassificationOutputTransform | None = None,
    top_k: int | None = None,
    **options: Unpack[CallOptions],
) -> list[ImageClassificationOutputElement]:
    """Say what an image shows.

    https://huggingface.co/docs/inference-providers/tasks/image-classification

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        function_to_apply: What makes scores of the model's outputs: "sigmoid", "softmax" or "none".
        top_k: How many classes to give; the server's default is mostly 5.
        extra_body: More of the server's parameters, over those above.

    Returns:
        Classes with their scores, the likeliest first.
    """
    raise NotImplementedError


@Declare[ImageSegmentationOutputElement | JobEvent]("image-segmentation", _IMAGE)
def image_segmentation(
    image: Source,
    *,
    model: str | None = None,
    mask_threshold: float | None = None,
    overlap_mask_area_threshold: float | None = None,
    subtask: ImageSegmentationSubtask | None = None,
    threshold: float | None = None,
    **options: Unpack[CallOptions],
) -> list[ImageSegmentationOutputElement]:
    """Say which pixels of an image belong to what.

    https://huggingface.co/docs/inference-providers/tasks/image-segmentation

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        mask_threshold: From which value on a pixel belongs to a mask, mostly 0.5.
        overlap_mask_area_threshold: Masks with a smaller share of their own are left out, mostly below 0.5.
        subtask: "instance", "panoptic" or "semantic", as far as the model knows them.
        threshold: Parts with a lower score are left out, mostly below 0.9.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The parts, each with a `mask`: a PIL image, decoded when its pixels are first asked for.
    """
    raise NotImplementedError


@task("object-detection", events=ObjectDetectionOutputElement, check=_IMAGE)
def object_detection(
    image: Source,
    *,
    model: str | None = None,
    threshold: float | None = None,
    **options: Unpack[CallOptions],
) -> list[ObjectDetectionOutputElement]:
    """Say which things an image shows, and where.

    https://huggingface.co/docs/inference-providers/tasks/object-detection

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        threshold: Things with a lower score are left out, mostly below 0.9.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The things, each with a `box` in pixels from the top left corner.
    """
    raise NotImplementedError


@task("image-to-text", events=ImageToTextOutput, check=_IMAGE)
def image_to_text(
    image: Source,
    *,
    model: str | None = None,
    max_new_tokens: int | None = None,
    generation_parameters: GenerationParameters | None = None,
    **options: Unpack[CallOptions],
) -> ImageToTextOutput:
    """Describe an image, or read the text in it.

    https://huggingface.co/tasks/image-to-text

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        max_new_tokens: The most tokens to make.
        generation_parameters: How to draw tokens, such as {"temperature": 0.2, "num_beams": 4}.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The text, as `generated_text`.
    """
    raise NotImplementedError


@task("depth-estimation", events=DepthEstimationOutput, check=_IMAGE)
def depth_estimation(
    image: Source,
    *,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> DepthEstimationOutput:
    """Say how far from the camera things are.

    https://huggingface.co/tasks/depth-estimation

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        model: Whom to ask; the client's model where it is not given.
        extra_body: More of the server's parameters.

    Returns:
        `depth`: a PIL image, decoded when its pixels are first asked for; `predicted_depth`: numbers.
    """
    raise NotImplementedError
