"""`headwater batch report out.jsonl`: the picture of a run, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import InputError
from .command import DASH
from .files import OutputFile
from .terminal import say

PAGE_FILE = "report.html"
PICTURE = "report.png"


def report(
    results: Annotated[str, Parameter(name="OUT.jsonl")],
    /,
    *,
    output: Annotated[str | None, Parameter(name=("--output", "-o"))] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    prices: Annotated[list[str] | None, Parameter(negative="", metavar="[NAME=]IN,OUT")] = None,
) -> int:
    """Draw a run from its result lines: throughput, latencies, errors, concurrency and tokens, as a page and a PNG.

    Takes what `headwater batch` has written so far, and the result files of OpenAI's Batch API and vLLM.

    Parameters
    ----------
    results
        The results.
    output
        The folder for report.html and report.png; "OUT-report" beside the results if not given.
    force
        Write over a report that is there.
    prices
        What a million tokens in and out cost, to show the spend where the run was not told; NAME is a model, a
        provider, or provider/model.
    """
    from ..batch.progress import read_prices
    from ..batch.report.make import make

    if results == DASH:
        raise InputError("a report is made of a file, not of standard input")
    source = Path(results)
    try:
        made = make(source, prices=read_prices(prices) if prices else None)
    except ImportError as error:
        say(str(error))
        return 2
    if not made.data.records and not made.data.unreadable:
        raise InputError(f"{source} has no results yet, and nothing was drawn")
    folder = Path(output) if output is not None else source.with_name(f"{source.stem}-report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder} is a file, and a folder for the report is wanted") from None
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}") from None
    with (
        OutputFile(str(folder / PAGE_FILE), force=force) as page,
        OutputFile(str(folder / PICTURE), force=force) as picture,
    ):
        page.write(made.html.encode())
        picture.write(made.png)
    print(folder / PAGE_FILE)
    print(folder / PICTURE)
    return 0
