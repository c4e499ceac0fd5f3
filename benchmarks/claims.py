"""What the project says about its own speed, each claim held against one run's figures. Refuses to measure.

Never part of the tests: figures belong to the machine that made them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks import figures, work

Results = dict[str, dict[str, dict[str, Any]]]
OURS = ("headwater-asyncio", "headwater-trio")
CROWD = "open_10000"
QUEUE = "calls_512"
STREAM_KIB = 20
SLACK = 0.2  # how far TLS may move a ratio


class Ratio(NamedTuple):
    """A claim that one figure is at most `most` times another, or at most a part of it."""

    bench: str
    ours: str
    other: str
    most: float
    other_bench: str = ""
    column: str = "cpu"


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
COLUMNS = {"cpu": "", "cpu_open": " once all are open", "wall": " of wall time"}


def verdicts(results: Results) -> Iterator[Verdict]:
    """Every claim, in the order of the documentation."""
    for bench, other, most in RATIOS:
        for ours in OURS:
            yield _ratio(results, Ratio(bench, ours, other, most))
    for ours in OURS:
        yield _delivered(results, "streams_1000", ours)
    yield _ratio(results, Ratio("sync_stream_2000", "headwater-sync", "headwater-asyncio", 3, "stream_2000"))
    yield _ratio(results, Ratio("import_time", "headwater", "huggingface_hub", 1 / 3))
    yield _ratio(results, Ratio("import_time", "headwater.InferenceClient", "huggingface_hub", 1 / 3))
    yield _loads_little(results)
    for ours in OURS:
        yield from _nothing_left(results, ours)
    for ours in work.OURS:
        yield from _crowds(results, ours)
    for ours, mapping in zip(work.OURS, work.MAPS, strict=True):
        yield _ratio(results, Ratio(QUEUE, mapping, "openai", 1 / 12))
        yield _ratio(results, Ratio(QUEUE, mapping, "huggingface_hub", 1 / 5))
        yield _ratio(results, Ratio(QUEUE, mapping, ours, 1.15))
    yield from _over_tls(results)
    for ours in work.OURS:
        yield _ratio(results, Ratio("threads_32", "headwater-sync", ours, 3, column="wall"))
        yield _ratio(results, Ratio("sync_chat", "headwater-sync", ours, 2.5))


def _crowds(results: Results, ours: str) -> Iterator[Verdict]:
    """Ten thousand streams: all of them, in little memory, and no dearer than a hundred."""
    yield _delivered(results, CROWD, ours)
    yield _row_claim(results, CROWD, ours, f"at most {STREAM_KIB} KiB per stream", _small)
    for column in ("cpu", "cpu_open"):
        yield _ratio(results, Ratio(CROWD, ours, "aiohttp", 1, column=column))
        yield _ratio(results, Ratio(CROWD, ours, "raw", 1.5, column=column))
        yield _ratio(results, Ratio(CROWD, ours, ours, 1.5, "open_100", column))


def _small(row: dict[str, Any]) -> tuple[bool, str]:
    kib = row["kib_per_stream_median"]
    return kib <= STREAM_KIB, f"{kib:.1f} KiB"


def _over_tls(results: Results) -> Iterator[Verdict]:
    """The claims about peers with a fifth less room to them, and what TLS did to each ratio."""
    for bench, other, most in RATIOS:
        for ours in work.OURS:
            if bench in work.PLAIN:
                yield _ratio(results, Ratio(f"tls_{bench}", ours, other, _slackened(most)))
    for bench, other, _ in RATIOS:
        for ours in work.OURS:
            if bench in work.PLAIN:
                yield _moved(results, bench, ours, other)
    for ours, mapping in zip(work.OURS, work.MAPS, strict=True):
        yield _ratio(results, Ratio("tls_open_1000", ours, "aiohttp", _slackened(1)))
        yield _ratio(results, Ratio(f"tls_{QUEUE}", mapping, "openai", _slackened(1 / 12)))
        yield _ratio(results, Ratio(f"tls_{QUEUE}", mapping, "huggingface_hub", _slackened(1 / 5)))


def _slackened(most: float) -> float:
    return most * (1 + SLACK) if most >= 1 else most / (1 - SLACK)


def _moved(results: Results, bench: str, ours: str, other: str) -> Verdict:
    """Whether the measured ratio to a peer is over TLS what it is without, within the slack or better."""
    secure = f"tls_{bench}"
    claim = f"{secure}: {ours} against {other}: the ratio of {bench}, less {SLACK:.0%} at most"
    found = [figures.median(results, name, client) for name in (bench, secure) for client in (ours, other)]
    if any(not value for value in found):
        return Verdict(claim, None, "not measured")
    mine, theirs, mine_secure, theirs_secure = (value or 0.0 for value in found)
    plain, ratio = theirs / mine, theirs_secure / mine_secure
    return Verdict(claim, ratio >= plain * (1 - SLACK), f"{ratio:.2f} against {plain:.2f}: {ratio / plain - 1:+.0%}")


def _ratio(results: Results, ratio: Ratio) -> Verdict:
    other_bench = ratio.other_bench or ratio.bench
    more = ratio.most >= 1
    bound = f"at most {ratio.most:g}x" if more else f"at least {1 / ratio.most:.3g}x less than"
    where = "" if other_bench == ratio.bench else f" in {other_bench}"
    claim = f"{ratio.bench}: {ratio.ours} {bound} {ratio.other}{where}{COLUMNS[ratio.column]}"
    failure = results.get(ratio.bench, {}).get(ratio.ours, {}).get("failed")
    if failure:
        return Verdict(claim, False, failure)
    mine = figures.median(results, ratio.bench, ratio.ours, ratio.column)
    theirs = figures.median(results, other_bench, ratio.other, ratio.column)
    if mine is None or theirs is None:
        return Verdict(claim, None, "not measured")
    got = f"{mine / theirs:.2f}x" if more else f"{theirs / mine:.1f}x less" if mine else "nothing measurable"
    shown = f"{got}: {figures.times(mine)} against {figures.times(theirs)}"
    if ratio.column == "cpu":
        shown += _of_best(results[ratio.bench][ratio.ours], results[other_bench][ratio.other], more)
    return Verdict(claim, mine <= theirs * ratio.most, shown)


def _of_best(mine: dict[str, Any], theirs: dict[str, Any], more: bool) -> str:
    """The same ratio by each one's best round, which a busy machine disturbs least; nothing for a single round."""
    if len(mine["cpu"]) < 2 or len(theirs["cpu"]) < 2 or not mine["cpu_best"]:
        return ""
    best = mine["cpu_best"] / theirs["cpu_best"]
    return f"; best rounds {best:.2f}x" if more else f"; best rounds {1 / best:.1f}x less"


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


def _delivered(results: Results, bench: str, client: str) -> Verdict:
    """A lost or merged chunk fails the client, so a measured row is proof."""
    count = work.JOBS[bench].calls
    return _row_claim(
        results,
        bench,
        client,
        "nothing lost",
        lambda row: (True, f"{len(row['cpu'])} rounds of {count:,} streams complete and in order"),
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
    """One line per claim that was measured, and how many were not."""
    found = [verdict for verdict in verdicts(results) if verdict.holds is not None]
    lines = [f"{'holds' if holds else 'FAILS'}  {claim} ({shown})" for claim, holds, shown in found]
    return "\n".join([*lines, f"not measured: {sum(verdict.holds is None for verdict in verdicts(results))}"])
