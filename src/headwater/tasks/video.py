"""The tasks about video: their declarations. Videos come back as bytes with a MIME type.

Nothing here decodes a video. Jobs that make one take minutes; their states are the events of `.stream`.
"""

from typing import Any, TypeAlias

from ..media.media import Media
from ..media.source import File, Source
from ..protocol.events import JobEvent
from .declaration import Declare, task
from .output import Scored
from .parameters import Size, TargetSize, Transform, image_or_prompt, source

ImageToVideoTargetSize = ImageTextToVideoTargetSize = TargetSize
VideoClassificationOutputTransform: TypeAlias = Transform


class VideoClassificationOutputElement(Scored):
    """A class of the video, and its score."""


_IMAGE = source("image")


@Declare[Media | JobEvent]("text-to-video")
def text_to_video(
    prompt: str,
    *,
    model: str | None = None,
    guidance_scale: float | None = None,
    negative_prompt: str | list[str] | None = None,
    num_frames: float | None = None,
    num_inference_steps: int | None = None,
    seed: int | None = None,
    extra_body: dict[str, Any] | None = None,
) -> Media:
    """Make a video after a description.

    https://huggingface.co/docs/inference-providers/tasks/text-to-video

    Args:
        prompt: What is to be seen.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        guidance_scale: How closely to follow the prompt; the higher, the closer, and the less natural.
        negative_prompt: What is not to be seen; one text or several.
        num_frames: How many frames to make.
        num_inference_steps: How many steps of denoising: more are better and slower.
        seed: The same seed asks for the same video.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The video's bytes: `.mime_type` says what they are, `.save(path)` writes them.

    Raises:
        JobFailedError: The job ended without a video.
        ContentRefusedError: The provider's moderation refused the prompt or the video.
        ProviderError: The server refused otherwise; the subclass says why.
        DecodeError: The answer is not a video.
    """
    raise NotImplementedError


@Declare[Media | JobEvent]("image-to-video", _IMAGE)
def image_to_video(
    image: Source,
    *,
    model: str | None = None,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    num_frames: float | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | None = None,
    target_size: Size | None = None,
    extra_body: dict[str, Any] | None = None,
    **parameters: Any,
) -> Media:
    """Make an image move.

    https://huggingface.co/docs/inference-providers/tasks/image-to-video

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        model: Whom to ask; the client's model where it is not given.
        prompt: What is to happen.
        negative_prompt: What is not to be seen.
        num_frames: How many frames to make.
        num_inference_steps: How many steps of denoising: more are better and slower.
        guidance_scale: How closely to follow the prompt; the higher, the closer, and the less natural.
        seed: The same seed asks for the same video.
        target_size: {"width": ..., "height": ...} of the video, in pixels.
        extra_body: More of the server's parameters, over those above.
        parameters: More of the server's parameters, by name, such as `fps`.

    Returns:
        The video's bytes: `.mime_type` says what they are, `.save(path)` writes them.

    Raises:
        JobFailedError: The job ended without a video.
        ContentRefusedError: The provider's moderation refused the input or the video.
        ProviderError: The server refused otherwise; the subclass says why.
        DecodeError: The answer is not a video.
    """
    raise NotImplementedError


@Declare[Media | JobEvent]("image-text-to-video", image_or_prompt)
def image_text_to_video(
    image: Source | None = None,
    prompt: str | None = None,
    *,
    model: str | None = None,
    negative_prompt: str | None = None,
    num_frames: float | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | None = None,
    target_size: Size | None = None,
    extra_body: dict[str, Any] | None = None,
) -> Media:
    """Make a video of an image, a description, or both.

    https://huggingface.co/docs/huggingface.js/inference/classes/InferenceClient

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        prompt: What is to be seen; it or the image is needed.
        model: Whom to ask; the client's model where it is not given.
        negative_prompt: What is not to be seen.
        num_frames: How many frames to make.
        num_inference_steps: How many steps of denoising: more are better and slower.
        guidance_scale: How closely to follow the prompt; the higher, the closer, and the less natural.
        seed: The same seed asks for the same video.
        target_size: {"width": ..., "height": ...} of the video, in pixels.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The video's bytes: `.mime_type` says what they are, `.save(path)` writes them.

    Raises:
        JobFailedError: The job ended without a video.
        ContentRefusedError: The provider's moderation refused the input or the video.
        ProviderError: The server refused otherwise; the subclass says why.
        DecodeError: The answer is not a video.
    """
    raise NotImplementedError


@task("video-classification", events=VideoClassificationOutputElement, check=source("video", images=False))
def video_classification(
    video: File,
    *,
    model: str | None = None,
    function_to_apply: VideoClassificationOutputTransform | None = None,
    num_frames: int | None = None,
    frame_sampling_rate: int | None = None,
    top_k: int | None = None,
    extra_body: dict[str, Any] | None = None,
) -> list[VideoClassificationOutputElement]:
    """Say what a video shows.

    https://huggingface.co/tasks/video-classification

    Args:
        video: The video, in any format the server reads: bytes, binary file, path, http(s) URL or data URL.
        model: Whom to ask; the client's model where it is not given.
        function_to_apply: What makes scores of the model's outputs: "sigmoid", "softmax" or "none".
        num_frames: How many frames to look at.
        frame_sampling_rate: Of how many frames to look at one.
        top_k: How many classes to give; the server's default is mostly 5.
        extra_body: More of the server's parameters, over those above.

    Returns:
        Classes with their scores, the likeliest first.
    """
    raise NotImplementedError
