"""The tasks that make an image: their declarations. Images come back as PIL images, decoded when first used.

What is not set is not sent. Sizes are in pixels; which ones a model can make is for the server to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Unpack

from msgspec import Meta

from ..media.images import from_text, open_image
from ..media.source import Source, check_source
from .declaration import CallOptions, Declare
from .lenient_types import Needed, Unneeded
from .output import Output
from .parameters import Positive, Size, TargetSize, image_or_prompt, source

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..protocol.events import JobEvent  # noqa: F401 - in the type of what a stream hands over

    Images: TypeAlias = Source | Sequence[Source]
else:
    Images = Source  # or a list of them

ImageToImageTargetSize = ImageTextToImageTargetSize = TargetSize

_IMAGE = source("image")
_MASK = source("mask")


class ImageStreamOutput(Output):
    """An event of a stream of images, in OpenAI's shape: an image as far as it is made, or the whole one at the end.

    `type`: "image_generation.partial_image" or "image_edit.partial_image", and at the end ".completed".
    `partial_image_index`: its number, from 0; None at the end, where `usage` is told. `created_at` is in epoch seconds.
    https://platform.openai.com/docs/api-reference/images-streaming
    """

    type: Unneeded[str] = ""
    b64_json: Needed[str | None] = None
    partial_image_index: int | None = None
    created_at: float | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    usage: Any = None

    @property
    def image(self) -> Image | None:
        """The image, decoded when its pixels are first asked for; None where the event has none."""
        return open_image(from_text(self.b64_json)) if self.b64_json else None


@Declare["Image | ImageStreamOutput | JobEvent"]("text-to-image")
def text_to_image(
    prompt: str,
    *,
    negative_prompt: str | None = None,
    height: Positive | None = None,
    width: Positive | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    model: str | None = None,
    scheduler: str | None = None,
    seed: int | None = None,
    extra_body: dict[str, Any] | None = None,
    **parameters: Any,
) -> Image:
    """Make an image after a description.

    https://huggingface.co/docs/inference-providers/tasks/text-to-image

    Args:
        prompt: What is to be seen.
        negative_prompt: What is not to be seen; one text (a list is refused by servers).
        height: In pixels; the model's own size where it is not given.
        width: In pixels; the model's own size where it is not given.
        num_inference_steps: How many steps of denoising: more are better and slower.
        guidance_scale: How closely to follow the prompt; the higher, the closer, and the less natural.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        scheduler: The scheduler to use instead of the model's own, by its name.
        seed: The same seed asks for the same image.
        extra_body: More of the server's parameters, over those above.
        parameters: More of the server's parameters, by name, such as `target_size`.

    Returns:
        A PIL image, decoded when its pixels are first asked for.

    Raises:
        JobFailedError: The job ended without an image.
        ContentRefusedError: The provider's moderation refused the prompt or the image.
        ProviderError: The server refused otherwise; the subclass says why.
        DecodeError: The answer is not an image.
    """
    raise NotImplementedError


@Declare["Image | JobEvent"]("image-to-image", _IMAGE)
def image_to_image(
    image: Source,
    prompt: str | None = None,
    *,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    model: str | None = None,
    target_size: Size | None = None,
    extra_body: dict[str, Any] | None = None,
    **parameters: Any,
) -> Image:
    """Change an image.

    https://huggingface.co/docs/inference-providers/tasks/image-to-image

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        prompt: What to do with it, or what is to be seen.
        negative_prompt: What is not to be seen.
        num_inference_steps: How many steps of denoising: more are better and slower.
        guidance_scale: How closely to follow the prompt; the higher, the closer, and the less natural.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        target_size: {"width": ..., "height": ...} of the new image, in pixels.
        extra_body: More of the server's parameters, over those above.
        parameters: More of the server's parameters, by name, such as `seed`.

    Returns:
        A PIL image, decoded when its pixels are first asked for.

    Raises:
        JobFailedError: The job ended without an image.
        ContentRefusedError: The provider's moderation refused the input or the image.
        ProviderError: The server refused otherwise; the subclass says why.
        DecodeError: The answer is not an image.
    """
    raise NotImplementedError


@Declare["Image | JobEvent"]("image-text-to-image", image_or_prompt)
def image_text_to_image(
    image: Source | None = None,
    prompt: str | None = None,
    *,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    model: str | None = None,
    target_size: Size | None = None,
    seed: int | None = None,
    extra_body: dict[str, Any] | None = None,
) -> Image:
    """Make an image of an image, a description, or both.

    https://huggingface.co/docs/huggingface.js/inference/classes/InferenceClient

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        prompt: What is to be seen; it or the image is needed.
        negative_prompt: What is not to be seen.
        num_inference_steps: How many steps of denoising: more are better and slower.
        guidance_scale: How closely to follow the prompt; the higher, the closer, and the less natural.
        model: Whom to ask; the client's model where it is not given.
        target_size: {"width": ..., "height": ...} of the new image, in pixels.
        seed: The same seed asks for the same image.
        extra_body: More of the server's parameters, over those above.

    Returns:
        A PIL image, decoded when its pixels are first asked for.

    Raises:
        JobFailedError: The job ended without an image.
        ContentRefusedError: The provider's moderation refused the input or the image.
        ProviderError: The server refused otherwise; the subclass says why.
        DecodeError: The answer is not an image.
    """
    raise NotImplementedError


def _images(given: Mapping[str, Any]) -> str | None:
    images = given["image"]
    if not isinstance(images, list | tuple):
        return _IMAGE(given) or _MASK(given)
    if not images:
        return "image is an empty list"
    wrong = ((number, check_source(one)) for number, one in enumerate(images))
    return next((f"image[{number}] {words}" for number, words in wrong if words), None) or _MASK(given)


@Declare["Image | ImageStreamOutput | JobEvent"]("edit-image", _images)
def edit_image(
    image: Images,
    prompt: str,
    *,
    mask: Source | None = None,
    size: str | None = None,
    quality: str | None = None,
    background: str | None = None,
    input_fidelity: str | None = None,
    output_format: str | None = None,
    partial_images: Annotated[int, Meta(ge=0)] | None = None,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> Image:
    """Change images after a description, in OpenAI's words.

    `image_to_image` does the same with one image, wherever it is asked for.
    The meanings are OpenAI's: https://platform.openai.com/docs/api-reference/images/createEdit

    Args:
        image: One image or a list of them: bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an
            array of uint8.
        prompt: What to do with them.
        mask: An image of the first one's size; what is transparent in it is what may be changed.
        size: Of the new image, such as "1024x1536", or "auto".
        quality: How well it is made: "low", "medium", "high", or "auto".
        background: "transparent", "opaque" or "auto".
        input_fidelity: How closely to keep to what is given, above all faces: "high" or "low".
        output_format: The file that the server makes: "png", "jpeg" or "webp".
        partial_images: How many images a stream hands over on the way, as far as they are made; with 0 the last one
            alone comes as an event. Without it, and in a plain call, nothing is streamed.
        model: Whom to ask; the client's model where it is not given.
        extra_body: More of the server's parameters, over those above.

    Returns:
        A PIL image, decoded when its pixels are first asked for; the first, where several were made.

    Raises:
        ContentRefusedError: The provider's moderation refused the input or the image.
        IncompleteStreamError: A stream ended before its image was whole; `partial` is the last one that came.
        ProviderError: The server refused otherwise; the subclass says why.
        DecodeError: The answer is not an image.
    """
    raise NotImplementedError
