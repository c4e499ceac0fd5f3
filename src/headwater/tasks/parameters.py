"""Parameter types that several tasks share, and the check of those that are files.

A bound is here only where what is beyond it is nonsense to every server, as an image of no width is. What one vendor
refuses is for it to say: others take `max_tokens=-1` or a temperature of 2.5.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypedDict

import msgspec
from msgspec import Meta

from ..media.source import check_source
from .declaration import Check

Positive = Annotated[int, Meta(ge=1)]

Transform: TypeAlias = Literal["sigmoid", "softmax", "none"]
TruncationStrategy: TypeAlias = Literal["do_not_truncate", "longest_first", "only_first", "only_second"]


class TargetSize(msgspec.Struct):
    """The size of what is generated, in pixels."""

    width: Positive
    height: Positive


if TYPE_CHECKING:
    Size: TypeAlias = TargetSize | Mapping[str, int]
else:
    Size = TargetSize  # which msgspec also makes of a dict


class GenerationParameters(TypedDict, total=False):
    """How a model that makes tokens is to draw them; other names are passed on as they are.

    https://huggingface.co/docs/transformers/main_classes/text_generation#transformers.GenerationConfig
    """

    temperature: float
    top_k: int
    top_p: float
    typical_p: float
    epsilon_cutoff: float
    eta_cutoff: float
    max_length: int
    max_new_tokens: int
    min_length: int
    min_new_tokens: int
    do_sample: bool
    early_stopping: bool | Literal["never"]
    num_beams: int
    num_beam_groups: int
    penalty_alpha: float
    use_cache: bool


def source(name: str, *, images: bool = True) -> Check:
    """The check that this parameter can be read as a file; `images`: whether PIL images and arrays do."""

    def check(given: Mapping[str, Any]) -> str | None:
        wrong = check_source(given[name], images=images) if name in given else None
        return f"{name} {wrong}" if wrong else None

    return check


_image = source("image")


def image_or_prompt(given: Mapping[str, Any]) -> str | None:
    """The check that there is an image or a prompt, and that the image can be read as a file."""
    if "image" not in given and "prompt" not in given:
        return "an image or a prompt is required, or both"
    return _image(given)
