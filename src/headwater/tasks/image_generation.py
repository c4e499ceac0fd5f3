"""The tasks that make an image: their declarations. Images come back as PIL images, decoded when first used.

What is not set is not sent. Sizes are in pixels; which ones a model can make is for the server to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..media.source import Source
from .declaration import Declare
from .parameters import Positive, Size, TargetSize, image_or_prompt, source

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..protocol.events import JobEvent  # noqa: F401 - in the type of what a stream hands over

ImageToImageTargetSize = ImageTextToImageTargetSize = TargetSize

_IMAGE = source("image")


@Declare["Image | JobEvent"]("text-to-image")
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
