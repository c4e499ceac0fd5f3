"""An answer in Markdown on a terminal: its end while it comes, the whole of it once it is there.

Links are shown with their addresses, not as links of the terminal, which hide them.
"""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segments

from .terminal import ControlFilter

_REDRAW_SECONDS: Final = 0.1


class MarkdownWriter:
    """Does for a screen what `terminal.TextWriter` does.

    A screen cannot scroll back, so that only the last lines are drawn anew.
    """

    def __init__(self, *, raw: bool = False) -> None:
        self._console = Console()
        self._filter = None if raw else ControlFilter()
        self._text = ""
        self._drawn = 0.0
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def write(self, text: str) -> None:
        """Draw the last lines anew, now and then."""
        self._text += self._filter.add(text) if self._filter else text
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_SECONDS:
            self._drawn = now
            self._live.start()
            self._live.update(self._last_lines(), refresh=True)

    def end(self) -> None:
        """Put the whole in place of what was drawn."""
        self._text += self._filter.end() if self._filter else ""
        self._live.stop()
        if self._text:
            self._console.print(self._markdown())
            self._text = ""

    def _markdown(self) -> Markdown:
        return Markdown(self._text, hyperlinks=False)

    def _last_lines(self) -> Segments:
        lines = self._console.render_lines(self._markdown(), pad=False, new_lines=True)
        return Segments([segment for line in lines[-(self._console.height - 1) :] for segment in line])
