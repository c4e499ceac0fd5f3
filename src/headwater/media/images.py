"""Files that go in and come out: what a source is, media with their MIME type, images to bytes and back.

The only file that knows Pillow, which is imported when the first image comes. It opens no path and no URL
(`Media.save` alone writes a file), and it opens images from servers under limits, by their headers alone.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any, Final

from ..errors import DecodeError, InputError, InvalidParameterError, ResponseTooLargeError
from .image_headers import MOST_FRAMES, read_header
from .mime import LARGEST as LARGEST
from .mime import UNKNOWN as UNKNOWN
from .mime import data_url as data_url
from .mime import ending_of as ending_of
from .mime import from_base64 as from_base64
from .mime import from_data_url as from_data_url
from .mime import from_text as from_text
from .mime import mime_type_of as mime_type_of
from .source import _check_array, _check_mode, kind_of

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF")
MOST_PIXELS: Final = 50_000_000
"""Of one image."""
MOST_PIXELS_IN_ALL: Final = 200_000_000
"""Of all frames of an image together."""

_LOSSLESS: Final = frozenset({"1", "L", "LA", "I;16", "P", "RGB", "RGBA"})
"""Pillow's modes that a PNG can hold."""
_WITH_ALPHA: Final = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}
_DEEP: Final = {"I;16": 1, "I;16L": 1, "I;16B": 0, "I;16N": int(sys.byteorder == "little")}
"""Pillow's modes of 16 bits, and which of a pixel's two bytes is the higher one."""
_ORIENTATION: Final = 0x0112
"""EXIF's tag that says which edge is up, https://www.cipa.jp/std/documents/e/DC-X008-Translation-2023-E.pdf"""

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image


def open_image(data: bytes) -> Image:
    """A PNG, JPEG, WEBP or GIF as a PIL image whose pixels are decoded when they are first asked for.

    Raises `DecodeError` for anything else, and `ResponseTooLargeError` for more than 50 million pixels, 200
    million in all frames, or 10,000 frames, by what the headers say.
    """
    header = read_header(data)
    if header is None:
        raise _no_image(data)
    _check_pixels(header.width, header.height, header.frames)
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        if header.format == "JPEG":  # `open` would make a format of many pictures of some (MPO)
            return JpegImageFile(io.BytesIO(data))
        image = Image.open(io.BytesIO(data), formats=(header.format,))
    except Exception:  # noqa: BLE001 - bytes from elsewhere make Pillow raise all kinds of errors, with its own words
        raise _no_image(data) from None
    _check_pixels(image.width, image.height, 1)
    return image


def _no_image(data: bytes) -> DecodeError:
    error = DecodeError(f"not an image in one of the formats {', '.join(FORMATS)}, or a broken one")
    error.body = bytes(data[:512])
    return error


def _check_pixels(width: int, height: int, frames: int) -> None:
    shown = f"an image of {width}x{height} pixels in {frames} frames"
    if width * height > MOST_PIXELS:
        raise _too_many(shown, MOST_PIXELS)
    if width * height * frames > MOST_PIXELS_IN_ALL:
        raise _too_many(shown, MOST_PIXELS_IN_ALL)
    if frames > MOST_FRAMES:
        raise _too_many(shown, MOST_FRAMES)


def _too_many(shown: str, limit: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(f"{shown} is over the limit of {limit}", limit=limit)


def encode_image(image: Image | numpy.ndarray[Any, Any], *, deep: bool = True) -> tuple[bytes, str]:
    """A PIL image or a numpy array as a file's bytes and MIME type: a JPEG stays one, all else becomes a PNG.

    The array is of uint8, (height, width) or (height, width, 3 or 4). A photo whose EXIF data say which edge is up is
    turned that way. `deep`: whether a PNG may have 16 bits a pixel, as a result may; without it they are scaled to
    8, for servers that would clip them.

    Raises `InvalidParameterError` for another array and for an image of mode "I" or "F", `InputError` where the
    image's own file is broken.
    """
    is_array = kind_of(image) == "array"
    if not is_array and (wrong := _check_mode(image)):
        raise InvalidParameterError(f"the image {wrong}")
    opened = _from_array(image) if is_array else image
    try:
        return _encode(opened, deep)
    except Exception:  # noqa: BLE001 - a lazy image is only read here, and Pillow raises all kinds of errors
        raise InputError("the image cannot be read as PNG or JPEG; its file may be broken") from None


def _from_array(array: Any) -> Image:
    from PIL.Image import fromarray

    if wrong := _check_array(array):
        raise InvalidParameterError(f"the image {wrong}")
    return fromarray(array)


def upright(image: Image) -> Image:
    """The image as its EXIF data want it seen: itself, or turned."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # noqa: BLE001 - broken EXIF data say nothing, in all kinds of errors
        return image
    if not turned:
        return image
    from PIL.ImageOps import exif_transpose

    return exif_transpose(image)


def _encode(image: Any, deep: bool) -> tuple[bytes, str]:
    file = io.BytesIO()
    turned = upright(image)
    if image.format in {"JPEG", "MPO"}:
        settings = {"quality": "keep"} if turned is image and image.format == "JPEG" else _as_fine_as(image)
        turned.save(file, "JPEG", icc_profile=image.info.get("icc_profile"), **settings)
        return file.getvalue(), "image/jpeg"
    if turned.mode in _DEEP:
        turned = turned.convert("I;16") if deep else _eight_bits(turned)
    profile = turned.info.get("icc_profile")
    if turned.mode not in _LOSSLESS:
        turned, profile = _as_rgb(turned), None
    turned.save(file, "PNG", icc_profile=profile)
    return file.getvalue(), "image/png"


def _as_fine_as(image: Any) -> dict[str, Any]:
    """The settings by which a JPEG that was turned loses as little as may be."""
    from PIL.JpegImagePlugin import get_sampling

    return {"qtables": image.quantization, "subsampling": get_sampling(image)}


def _eight_bits(image: Any) -> Image:
    """Of each pixel the higher byte, which is what scaling it comes to."""
    from PIL.Image import frombytes

    return frombytes("L", image.size, image.tobytes()[_DEEP[image.mode] :: 2])


def _as_rgb(image: Any) -> Image:
    if image.mode != "LAB":
        converted: Image = image.convert(_WITH_ALPHA.get(image.mode, "RGB"))
        return converted
    from PIL.ImageCms import createProfile, profileToProfile

    profiles = createProfile("LAB"), createProfile("sRGB")
    turned = profileToProfile(image, *profiles, outputMode="RGB")
    assert turned is not None
    return turned
