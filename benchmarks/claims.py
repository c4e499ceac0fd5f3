"""What the project says about its own speed, each claim held against one run's figures. Refuses to measure.

Never part of the tests: figures belong to the machine that made them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks import figures

Results = dict[str, dict[str, dict[str, Any]]]
OURS = ("headwater-asyncio", "headwater-trio")


class Ratio(NamedTuple):
    """A claim that one CPU time is at most `most` times another, or at most a part of it."""

    bench: str
    ours: str
    other: str
    most: float
    other_bench: str = ""


class Verdict(NamedTuple):
    """A claim, whether it holds (None: not measured) and the figures."""

    claim: str
    holds: bool | None
    shown: str


# (benchmark, the other client, and ours costs at most this many times the other's)
RATIOS = (
    ("stream_2000", "raw", 2),
    ("stream_2000", "openai", 1 / 25),
    ("stream_2000", "huggingface_hub", 1 / 15),
    ("chat_serial", "aiohttp", 1),
    ("chat_serial", "openai", 1 / 6),
    ("chat_serial", "huggingface_hub", 1 / 3),
    ("chat_512", "aiohttp", 1),
    ("chat_512", "openai", 1 / 15),
    ("streams_1000", "raw", 1.5),
    ("streams_1000", "huggingface_hub", 1 / 4),
    ("embeddings_100x1024", "huggingface_hub", 1 / 5),
)


def verdicts(results: Results) -> Iterator[Verdict]:
    """Every claim, in the order of the documentation."""
    for bench, other, most in RATIOS:
        for ours in OURS:
            yield _ratio(results, Ratio(bench, ours, other, most))
    for ours in OURS:
        yield _delivered(results, ours)
    yield _ratio(results, Ratio("sync_stream_2000", "headwater-sync", "headwater-asyncio", 3, "stream_2000"))
    yield _ratio(results, Ratio("import_time", "headwater", "huggingface_hub", 1 / 3))
    yield _ratio(results, Ratio("import_time", "headwater.InferenceClient", "huggingface_hub", 1 / 3))
    yield _loads_little(results)
    for ours in OURS:
        yield from _nothing_left(results, ours)


def _ratio(results: Results, ratio: Ratio) -> Verdict:
    other_bench = ratio.other_bench or ratio.bench
    more = ratio.most >= 1
    bound = f"at most {ratio.most:g}x" if more else f"at least {1 / ratio.most:g}x less than"
    where = "" if other_bench == ratio.bench else f" in {other_bench}"
    claim = f"{ratio.bench}: {ratio.ours} {bound} {ratio.other}{where}"
    failure = results.get(ratio.bench, {}).get(ratio.ours, {}).get("failed")
    if failure:
        return Verdict(claim, False, failure)
    mine = figures.cpu(results, ratio.bench, ratio.ours)
    theirs = figures.cpu(results, other_bench, ratio.other)
    if mine is None or theirs is None:
        return Verdict(claim, None, "not measured")
    got = f"{mine / theirs:.2f}x" if more else f"{theirs / mine:.1f}x less" if mine else "nothing measurable"
    shown = f"{got}: {figures.times(mine)} against {figures.times(theirs)}"
    return Verdict(claim, mine <= theirs * ratio.most, shown)


def _row_claim(
    results: Results, bench: str, client: str, claim: str, judge: Callable[[dict[str, Any]], tuple[bool, str]]
) -> Verdict:
    row = results.get(bench, {}).get(client, {})
    claim = f"{bench}: {client}: {claim}"
    if "failed" in row:
        return Verdict(claim, False, row["failed"])
    if "cpu" not in row:
        return Verdict(claim, None, "not measured")
    return Verdict(claim, *judge(row))


def _delivered(results: Results, client: str) -> Verdict:
    """A lost or merged chunk fails the client, so a measured row is proof."""
    return _row_claim(
        results,
        "streams_1000",
        client,
        "nothing lost",
        lambda row: (True, f"{len(row['cpu'])} rounds of 1,000 streams complete and in order"),
    )


def _loads_little(results: Results) -> Verdict:
    return _row_claim(
        results,
        "import_time",
        "headwater",
        "loads neither httpx, Pillow nor ssl",
        lambda row: (not row["unwanted"], f"loads {', '.join(row['unwanted']) or 'none of them'}"),
    )


def _nothing_left(results: Results, client: str) -> Iterator[Verdict]:
    for key in ("connections_left", "tasks_left", "warnings"):
        yield _row_claim(results, "cancel_churn", client, f"0 {key.replace('_', ' ')}", _none_of(key))
    yield _row_claim(
        results,
        "cancel_churn",
        client,
        "the next 1,000 requests succeed",
        lambda row: (row["then_succeeded"] == 1000, f"{row['then_succeeded']} succeeded"),
    )


def _none_of(key: str) -> Callable[[dict[str, Any]], tuple[bool, str]]:
    return lambda row: (row[key] == 0, f"{row[key]} after {row['cancelled']} cancelled streams")


def text(results: Results) -> str:
    """One line per claim."""
    words = {True: "holds ", False: "FAILS ", None: "  -   "}
    return "\n".join(f"{words[holds]} {claim} ({shown})" for claim, holds, shown in verdicts(results))
