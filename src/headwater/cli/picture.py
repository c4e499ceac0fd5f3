"""An image shown small in a terminal: two pixels to a character, the upper as its colour, the lower as its ground.

Only where the terminal says that it has all colours (COLORTERM, https://github.com/termstandard/colors); nothing else
is asked of it.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any, Final

from .terminal import takes_colour

WIDEST: Final = 64
"""Characters that a picture may be wide."""
_UPPER: Final = "▀"
_END: Final = "\x1b[0m\n"


def can_show() -> bool:
    """Whether a picture would be seen as one."""
    return takes_colour(sys.stdout) and os.environ.get("COLORTERM", "") in {"truecolor", "24bit"}


def show(image: Any) -> None:
    """Draw a PIL image, as wide as there is room for."""
    sys.stdout.write(drawn(image, min(WIDEST, shutil.get_terminal_size().columns)))
    sys.stdout.flush()


def drawn(image: Any, columns: int) -> str:
    """The image as lines of coloured characters, at most so many wide."""
    width = min(columns, image.width)
    height = max(2, 2 * round(image.height * width / image.width / 2))
    small = image.convert("RGB").resize((width, height))
    lines = []
    for y in range(0, height, 2):
        cells = [_cell(small.getpixel((x, y)), small.getpixel((x, y + 1))) for x in range(width)]
        lines.append("".join(cells) + _END)
    return "".join(lines)


def _cell(upper: tuple[int, int, int], lower: tuple[int, int, int]) -> str:
    return f"\x1b[38;2;{upper[0]};{upper[1]};{upper[2]};48;2;{lower[0]};{lower[1]};{lower[2]}m{_UPPER}"
