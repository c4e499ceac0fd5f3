"""What may reach a screen, and the lines of ours on stderr.

A model's text can hold sequences that move the cursor, write to the clipboard, hide a link's address or turn letters
around. None of them gets to a terminal from here unless `raw` asks for it; what is piped goes as it came.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Final, TextIO

_STRING_START = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
_STRING = r"[^\x07\x1b\n\x90\x98\x9c-\x9f]*"
"""Another start ends it too, or a flood of starts would be gone through from each of them."""
_LONGEST = 4096
"""Characters that a sequence may have; a longer one loses its control characters alone."""
_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor
    rf"|{_STRING_START}{_STRING}(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, ...: links, the clipboard, titles
    r"|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]"  # the short ones
)
_UNFINISHED: Final = re.compile(rf"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*|{_STRING_START}{_STRING}\x1b?|\x1b[ -/]*)\Z")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""C0 but tab and line feed, DEL, C1, and what sets a direction of writing (Unicode's Bidi_Control)."""

DIM: Final = "\x1b[2m"
NORMAL: Final = "\x1b[0m"
LONGEST_LINE: Final = 1000
USUAL_WIDTH: Final = 80
"""Of a terminal that does not say how wide it is."""
_COMMAND: Final = re.compile(r"(?<=: )headwater \S.*\Z")


class ControlFilter:
    """Takes control sequences out of a text that comes in pieces; one may begin in a piece and end in another."""

    def __init__(self) -> None:
        self._held = ""

    def add(self, piece: str) -> str:
        """What of the text so far may be shown now."""
        text = self._held + piece
        cut = _UNFINISHED.search(text)
        at = cut.start() if cut and len(text) - cut.start() <= _LONGEST else len(text)
        self._held = text[at:]
        return clean(text[:at])

    def end(self) -> str:
        """What was held back for a sequence that never ended."""
        held, self._held = self._held, ""
        return clean(held)


def clean(text: str) -> str:
    """A whole text without control sequences."""
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


def is_terminal(stream: TextIO | None) -> bool:
    """Whether someone looks at it."""
    return stream is not None and stream.isatty()


def takes_colour(stream: TextIO | None) -> bool:
    """Whether dimmed text can be shown; NO_COLOR is https://no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class TextWriter:
    """Writes a text to a stream as it comes, and ends it with a line end."""

    def __init__(self, stream: TextIO | None, *, raw: bool = False) -> None:
        """`stream`: None where it is closed, so that nothing is written."""
        self._stream = stream
        self._filter = ControlFilter() if is_terminal(stream) and not raw else None
        self._last = "\n"

    def write(self, text: str) -> None:
        """Show this piece at once."""
        self._put(self._filter.add(text) if self._filter else text)

    def end(self) -> None:
        """Close the last line, if there is one."""
        if self._filter:
            self._put(self._filter.end())
        if self._last != "\n":
            self._put("\n")

    def _put(self, text: str) -> None:
        if text and self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
            self._last = text[-1]


class Aside:
    """What a model thought before its answer: on stderr, dimmed where that can be shown."""

    def __init__(self, *, raw: bool = False) -> None:
        self._writer = TextWriter(sys.stderr, raw=raw)
        self._is_dim = takes_colour(sys.stderr)
        self._is_open = False

    def write(self, text: str) -> None:
        """Show this piece at once."""
        if not self._is_open:
            self._is_open = True
            self._style(DIM)
        self._writer.write(text)

    def end(self) -> None:
        """Back to how it was; a blank line on a terminal."""
        if self._is_open:
            self._is_open = False
            self._writer.end()
            self._style(NORMAL + "\n")

    def _style(self, codes: str) -> None:
        if self._is_dim:
            sys.stderr.write(codes)
            sys.stderr.flush()


def say(message: str) -> None:
    """One line on stderr, on a terminal as many as it takes: a server's words come in here too, so no control sequence
    and no line end does."""
    line = " ".join(clean(message).split())
    if len(line) > LONGEST_LINE:
        line = line[:LONGEST_LINE] + " ..."
    text = f"headwater: {line}"
    if sys.stderr is None:  # it is closed, and print would take stdout instead
        return
    print(_folded(text) if is_terminal(sys.stderr) else text, file=sys.stderr, flush=True)


def _folded(text: str) -> str:
    """The text in lines that fit the terminal; a command at its end stays in one, to be copied."""
    import textwrap

    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_WIDTH
    except (OSError, ValueError):
        width = USUAL_WIDTH
    words, command = text, ""
    if found := _COMMAND.search(text):
        words, command = text[: found.start()], f"\n  {found[0]}"
    lines = textwrap.wrap(words, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) + command
