"""Records what clients exchange with their servers, and replays it: `cassette`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, get_args

import anyio.to_thread
from anyio import CancelScope

from ..protocol.transport import Transport
from ..transport import interposer
from ..transport.interposer import Interposer, MakeTransport
from .cassette_format import CassetteError, check_place, load_cassette, save_cassette
from .player import Player
from .recorder import Recorder, Recording

CassetteMode: TypeAlias = Literal["record", "replay", "auto", "passthrough"]
MODE: Final = "HEADWATER_CASSETTE"


class Cassette:
    """A recording that clients make, or are given: see `cassette`.

    `path`: its file. `mode`: what it does, "record", "replay" or "passthrough"; "auto" has become one of them once the
    block is entered. It is entered once.
    """

    def __init__(self, path: Path, mode: CassetteMode, times: float, ignore: tuple[str, ...]) -> None:
        self.path = path
        self.mode = mode
        self.instant = False
        self._times = times
        self._ignore = ignore
        self._recording: Recording | None = None
        self._player: Player | None = None
        self._outer: Interposer | None = None
        self._is_used = False

    # -- the block

    def __enter__(self) -> Self:
        self._load()
        return self._begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._end() and kind is None:
            self._save()

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._load)
        return self._begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._end() and kind is None:
            with CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._save)

    def _load(self) -> None:
        if self._is_used:
            raise CassetteError("a cassette is entered once: make another")
        self._is_used = True
        if self.mode == "auto":
            self.mode = "replay" if self.path.exists() else "record"
        if self.mode == "replay":
            try:
                exchanges = load_cassette(self.path)
            except OSError as error:
                raise CassetteError(
                    f"there is no recording {self.path} ({error.strerror}): mode='record', or {MODE}=record, makes it"
                ) from error
            self._player = Player(exchanges, self._times, self._ignore, str(self.path))
            self.instant = self._times == 0
        elif self.mode == "record":
            check_place(self.path)
            self._recording = Recording()

    def _begin(self) -> Self:
        self._outer = self._around()
        if self.mode != "replay" and self._outer is not None:
            self.instant = self._outer.instant
        interposer.push(self)
        return self

    def _around(self) -> Interposer | None:
        """What stands around this block: not what stands around another task or thread, and is for its own clients."""
        newest = interposer.interposer()
        return newest if newest is not None and interposer.is_own(newest) else None

    def _end(self) -> bool:
        """Stop; whether there is something to write."""
        interposer.pop(self)
        if self._player is not None:
            self._player.is_open = False
        if self._recording is None:
            return False
        self._recording.is_open = False
        return True

    def _save(self) -> None:
        assert self._recording is not None
        try:
            save_cassette(self.path, self._recording.exchanges())
        except OSError as error:
            raise CassetteError(f"{self.path} cannot be written: {error}") from error

    # -- for clients

    def around(self, make: MakeTransport) -> Transport:
        """What carries a client's requests in place of what `make` makes."""
        if self._player is not None:
            return self._player
        inner = make() if self._outer is None else self._outer.around(make)
        return inner if self._recording is None else Recorder(self._recording, inner)

    # -- for tests

    @property
    def unplayed(self) -> list[str]:
        """The recorded requests that nobody has made so far, as "POST https://host/path"; none where it records."""
        return [] if self._player is None else [f"{form.method} {form.url}" for form in self._player.unplayed]

    def assert_all_played(self) -> None:
        """Raise `CassetteError` where a recorded request was not made."""
        if unplayed := self.unplayed:
            raise CassetteError("\n".join([f"{self.path}: {len(unplayed)} requests were not made:", *unplayed]))

    def discard(self) -> None:
        """Write nothing when the block ends: what was recorded is no whole recording."""
        if self._recording is not None:
            self._recording.is_open = False
            self._recording = None

    def __repr__(self) -> str:
        return f"<Cassette {self.path} {self.mode}>"


def cassette(
    path: str | os.PathLike[str],
    mode: CassetteMode | None = None,
    *,
    times: float = 0.0,
    ignore: Iterable[str] = (),
) -> Cassette:
    """Record what all clients that are made inside a `with` or `async with` block send and are answered, or replay it.

    Args:
        path: The file: JSON lines. Its media is in a folder beside it, `NAME.media`.
        mode: "record" sends requests, and writes the file when the block ends without an error. "replay" sends none.
            "auto" replays where there is the file, else records. "passthrough" does nothing. Default: what the variable
            `HEADWATER_CASSETTE` says, else "auto".
        times: By how much the recorded times of an answer are multiplied in a replay: 1 for real, 0 (the default) for
            no waits at all, of backoff and polling neither.
        ignore: Members of a JSON body that do not count when requests are compared, such as "seed" or
            "metadata.run".

    Raises:
        CassetteError: When the block is entered: there is no recording to replay, the file is none or damaged, or a
            recording could not be written there. From a call: the request was not recorded, or not so many times; the
            message shows how the nearest one differs. When the block ends: the disk fails.
        ValueError: Another mode, or a negative `times`.
    """
    chosen: CassetteMode = mode or os.environ.get(MODE, "").strip().lower() or "auto"  # type: ignore[assignment]
    if chosen not in (modes := get_args(CassetteMode)):
        raise ValueError(f"{'mode' if mode else MODE} must be one of {', '.join(modes)}, not {chosen!r}")
    if isinstance(ignore, str):
        raise ValueError("ignore takes a list of names")
    if not 0 <= times < float("inf"):
        raise ValueError("times must be a number, 0 or more")
    return Cassette(Path(path), chosen, float(times), tuple(ignore))
