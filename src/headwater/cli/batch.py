"""`headwater batch in.jsonl -o out.jsonl`: its options, its client, and what a run's end means for the exit code."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import anyio
from cyclopts import Parameter

from ..batch.file_lock import JournalError
from ..batch.progress import BatchSummary, read_prices
from ..batch.runner import run_batch
from ..batch.spool import STANDARD_INPUT
from ..client.async_client import AsyncInferenceClient
from ..client.core import core_of
from ..cost.budget import Budget
from ..errors import InputError, InvalidParameterError
from . import connection
from .answer_type import answer_type, answer_types
from .batch_display import REFRESH_SECONDS, counted, display
from .command import DASH
from .options import option
from .terminal import is_terminal, say

SOME_FAILED: Final = 3
GAVE_UP: Final = 4
SPENT: Final = 5
STOPPED: Final = 130

_SWITCHES: Final = ("ordered", "stream", "retry_failed")
_VALUES: Final = ("requests_per_minute", "tokens_per_minute", "model", "media_folder")
SCHEMA_OF_LINES: Final = (
    "What the answers of chats and texts are to be whose lines do not say it: a file with a JSON schema, or a type of a"
    " module, such as shop:Invoice. They are validated; the value is `parsed` in the result."
)
TYPES_HELP: Final = (
    'Types that a line may name, as "response_format": "shop:Invoice" of a chat or "grammar" of a text: all of this'
    " module, or this one. Without it no line is answered with a type of its own choice."
)
_INPUT: Final = inspect.Parameter(
    "source",
    inspect.Parameter.POSITIONAL_ONLY,
    annotation=Annotated[
        str, Parameter(name="IN.jsonl", help='The requests: JSON lines; "-" or a pipe is read to its end first.')
    ],
)
_OUTPUT: Final = inspect.Parameter(
    "output",
    inspect.Parameter.KEYWORD_ONLY,
    annotation=Annotated[str, Parameter(name=("--output", "-o"), help="The results.", metavar="OUT.jsonl")],
)
_OPTIONS: Final = (
    option("concurrency", str, 'Records under way at once: a number, or "auto" (default), what the server bears.'),
    option("ordered", bool, "Put the output into the input's order when every record is in it."),
    option("requests_per_minute", float, "The most requests to begin in a minute."),
    option("tokens_per_minute", float, "The most tokens to use in a minute."),
    option("timeout", float, "The most seconds that one record may take."),
    option("model", str, "The model of lines that name none."),
    option("stream", bool, "Have chats and texts streamed, to note the time of the first event."),
    option("schema", str, SCHEMA_OF_LINES, metavar="FILE.json|MODULE:TYPE"),
    option("types", list[str], TYPES_HELP, metavar="MODULE[:TYPE]"),
    option("retry_failed", bool, "Send the records again that failed; their results leave the output first."),
    option("keep_going", bool, "Go on where all records fail alike, and take that for their results."),
    option(
        "prices",
        list[str],
        "What a million tokens in and out cost, to show the spend; NAME is a model, a provider, or provider/model. Or"
        ' "provider": what its answers say that it charges; "router": what Hugging Face\'s router lists.',
        metavar="[NAME=]IN,OUT|provider|router",
    ),
    option(
        "budget",
        float,
        "Dollars after which no more records are begun, by --prices or the list of Hugging Face's router.",
        metavar="USD",
    ),
    option(
        "media_folder", str, 'The folder for images, sounds and videos; "NAME.media" beside the output if not given.'
    ),
    option("untrusted", bool, "The lines come from others: read no file of this machine that one of them names."),
    option("json", bool, "Print what happens as JSON lines on stdout."),
)


def command() -> Callable[..., int]:
    """What the parser calls."""
    whose = [parameter for parameter in connection.options() if parameter.name != "timeout"]
    signature = inspect.Signature([_INPUT, _OUTPUT, *_OPTIONS, *whose])

    def batch(*args: Any, **kwargs: Any) -> int:
        return run_batch_command(**signature.bind(*args, **kwargs).arguments)

    batch.__doc__ = "\n\n".join(" ".join(part.split()) for part in (run_batch_command.__doc__ or "").split("\n\n"))
    batch.__signature__ = signature  # type: ignore[attr-defined]
    return batch


def run_batch_command(source: str, output: str, **given: Any) -> int:
    """Perform a file of requests: lines of OpenAI's Batch API, or {"task": "text-to-image", "inputs": "..."}.

    The results are lines of OpenAI's Batch API, too. They are added to the output as they come, each once, and what was
    counted is on the disk: the same command goes on where it was stopped or killed, and takes what was added to the
    input since. Ctrl-C ends the taking of records and waits for those under way; a second one ends at once. Where all
    records fail alike (a wrong key or model, a server that is gone) it stops, and leaves them to be done again.

    Exit codes: 0 every record succeeded, 3 some failed, 4 it stopped because all failed alike, 5 the budget is
    spent, 130 stopped by Ctrl-C or SIGTERM, 1 the output cannot be written, is damaged or in another run's hands, 2
    wrong usage, or an input that is no JSON lines or was changed.
    """
    if output == DASH:
        raise InputError("the output must be a file, not standard output: what is piped away cannot be gone on with")
    source = str(STANDARD_INPUT) if source == DASH else source
    if source == str(STANDARD_INPUT) and is_terminal(sys.stdin):
        say("reading requests from the terminal; end with Ctrl-D")
    again, options = _again(source, output, given), _options(given)
    client = AsyncInferenceClient(**core_of(connection.client_for(given)).arguments)
    summary: BatchSummary | None = None
    ended: JournalError | None = None
    with display(json=bool(given.get("json"))) as show:

        async def perform() -> BatchSummary:
            async with client:
                return await run_batch(
                    client, source, output, watch=show, every=REFRESH_SECONDS, catch_signals=True, **options
                )

        try:
            summary = anyio.run(perform)
        except KeyboardInterrupt:
            say("stopped while the files were read; nothing was sent")
            return STOPPED
        except JournalError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            ended = error
    if summary is None:  # told below the display, which is gone by now
        say(str(ended))
        say(f"the results until then are in {output}; once it can be written, go on with: {again}")
        return 1
    return _end(summary, again)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `run_batch` that the command line has."""
    options: dict[str, Any] = {name: bool(given.get(name)) for name in _SWITCHES}
    options |= {name: given.get(name) for name in _VALUES}
    if given.get("keep_going"):
        options["give_up_after"] = None
    options["types"] = answer_types(given.get("types") or ())
    if given.get("schema"):
        options["answer_type"] = options["types"][given["schema"]] = answer_type(given["schema"])
    options["concurrency"] = _concurrency(given.get("concurrency"))
    options["prices"] = _prices(given.get("prices") or [])
    options["budget"] = None if given.get("budget") is None else Budget(usd=given["budget"])
    return options


def _prices(given: list[str]) -> Any:
    """The places where prices are looked for, in their order; None where none is given."""
    keywords = ("provider", "router")
    table = read_prices([each for each in given if each not in keywords])
    return [each if each in keywords else table for each in given] or None


def _concurrency(given: str | None) -> Any:
    if given is None or given == "auto":
        return "auto"
    if not given.isascii() or not given.isdigit() or not int(given):
        raise InvalidParameterError(f'--concurrency takes a number or "auto", not {given[:40]!r}')
    return int(given)


def _again(source: str, output: str, given: dict[str, Any]) -> str:
    """The command that goes on."""
    words = ["-o", output]
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        for one in value if isinstance(value, list) else [value]:
            if one is True and name != "retry_failed":
                words.append(flag)
            elif one not in (None, True, False):
                words += [flag, str(one)]
    place = f"headwater batch {shlex.quote(source)}"
    if source == str(STANDARD_INPUT):
        place = "... | headwater batch -"
    elif source.startswith(("/dev/fd/", "/proc/self/fd/")):  # a shell's <(...)
        place = "headwater batch <(...)"
    return f"{place} {shlex.join(words)}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _end(summary: BatchSummary, again: str) -> int:
    gave_up = summary.stopped == "gave_up"
    if summary.left:
        first = "once that is mended, " if gave_up else ""
        say(f"{counted(summary.left)} {_are(summary.left)} left; {first}go on with: {again}")
    if summary.failed:
        say(f"{counted(summary.failed)} failed; send them again with: {again} --retry-failed")
    if summary.left:
        return GAVE_UP if gave_up else SPENT if summary.stopped == "budget" else STOPPED
    return SOME_FAILED if summary.failed else 0
