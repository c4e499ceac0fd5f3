"""An image is drawn in a terminal that has the colours for it, and nowhere else."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from headwater.cli import picture


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_two_rows_of_pixels_make_a_line() -> None:
    image = Image.new("RGB", (2, 2))
    image.putpixel((0, 0), (255, 0, 0))
    image.putpixel((1, 1), (0, 0, 255))
    assert picture.drawn(image, 80) == ("\x1b[38;2;255;0;0;48;2;0;0;0m▀\x1b[38;2;0;0;0;48;2;0;0;255m▀\x1b[0m\n")


@pytest.mark.parametrize(("size", "shape"), [((640, 480), (40, 15)), ((1000, 10), (40, 1)), ((3, 9), (3, 4))])
def test_it_is_small_and_keeps_its_shape(size: tuple[int, int], shape: tuple[int, int]) -> None:
    lines = picture.drawn(Image.new("L", size), 40).splitlines()
    assert (lines[0].count("▀"), len(lines)) == shape


@pytest.mark.parametrize(
    ("screen", "environment", "shown"),
    [
        (Screen(), {"COLORTERM": "truecolor", "TERM": "xterm"}, True),
        (Screen(), {"COLORTERM": "", "TERM": "xterm"}, False),
        (Screen(), {"COLORTERM": "truecolor", "TERM": "xterm", "NO_COLOR": "1"}, False),
        (io.StringIO(), {"COLORTERM": "truecolor", "TERM": "xterm"}, False),
    ],
)
def test_only_where_it_can_be_seen(
    screen: io.StringIO, environment: dict[str, str], shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", screen)
    assert picture.can_show() is shown
    if shown:
        picture.show(Image.new("RGB", (8, 8), (1, 2, 3)))
        assert re.search(r"38;2;1;2;3", screen.getvalue())
