"""The report of a batch: its figures are right, in bounded memory, and its page trusts nothing that it shows."""

from __future__ import annotations

import io
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from headwater import InputError
from headwater.batch.report import panels, plots
from headwater.batch.report.data import RunData
from headwater.batch.report.histogram import MOST_BINS, MOST_NAMES, OTHER, Spread, laid_out, places
from headwater.batch.report.make import make, read_run
from headwater.batch.report.page import heading, length_of_time, overview
from headwater.cli import main

START = 1.8e9
HOSTILE = "<script>alert(1)</script>&\"'$x^2$ 中文 \x1b[31m\u202e_"


def line(
    at: float = 0.0, seconds: float = 1.0, *, error: Any = None, tokens: int | None = 20, **facts: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {"id": "c", "choices": []}
    if tokens is not None:
        body["usage"] = {"prompt_tokens": 7, "completion_tokens": tokens}
    return {
        "id": "batch-1",
        "custom_id": "r",
        "response": None if error else {"status_code": 200, "request_id": "x", "body": body},
        "error": error,
        "headwater": {"index": 0, "started": START + at, "seconds": seconds, "attempts": 1, "provider": "p"} | facts,
    }


def figures(lines: Iterable[dict[str, Any]]) -> RunData:
    return RunData().read(json.dumps(one).encode() + b"\n" for one in lines)


def written(folder: Path, lines: Iterable[Any]) -> Path:
    file = folder / "out.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    return file


def run_of(count: int, *, every_failed: int = 9, providers: int = 1) -> Iterator[dict[str, Any]]:
    chance = random.Random(count)
    for index in range(count):
        seconds = chance.lognormvariate(0, 0.6)
        error = {"code": "x", "message": "no", "class": "RateLimitError"} if not index % every_failed else None
        facts = {
            "first_event": seconds / 4,
            "in_flight": 9,
            "limit": 10 + index % 5,
            "provider": f"p{index % providers}",
        }
        yield line(index / 10, seconds, error=error, tokens=chance.randint(1, 900), **facts)


# figures


@pytest.mark.parametrize("count", [1, 2, 10, 5000])
def test_quantiles_are_right_to_one_percent(count: int) -> None:
    chance = random.Random(7)
    sizes = sorted(chance.lognormvariate(0, 2) + 0.001 for _ in range(count))
    spread = Spread()
    for size in sizes:
        spread.add(size)
    for share in (0.01, 0.5, 0.9, 0.99, 1.0):
        exact = sizes[max(0, -(-int(share * 1000) * count // 1000) - 1)]
        assert spread.quantile(share) == pytest.approx(exact, rel=0.0101)
    assert (spread.least, spread.most) == (sizes[0], sizes[-1])
    assert spread.mean == pytest.approx(sum(sizes) / count)


def test_small_whole_numbers_are_exact() -> None:
    for number in range(50):
        spread = Spread(whole=True)
        for one in (0, number, 1000):
            spread.add(one)
        assert spread.quantile(0.5) == number
    assert Spread().quantile(0.5) == 0


def test_what_is_kept_does_not_grow_with_the_lines() -> None:
    def many() -> Iterator[dict[str, Any]]:
        chance = random.Random(3)
        for index in range(4000):
            error = {"message": f"m{index}", "class": f"Kind{index}"}
            facts: dict[str, Any] = {"provider": f"provider-{index}", "first_event": chance.random()}
            yield line(chance.random() * 1e6, chance.random() * 1e3, error=error if index % 2 else None, **facts)

    data = figures(many())
    assert len(data.timeline.moments) <= MOST_BINS
    assert len(data.errors) <= MOST_NAMES + 1
    assert len(data.examples) <= MOST_NAMES + 1
    assert len(data.providers) <= MOST_NAMES + 1
    assert data.errors[OTHER] == 2000 - MOST_NAMES
    assert sum(moment.ended for moment in data.timeline.moments.values()) == 4000


@pytest.mark.parametrize("count", [1, 10, 3000])
def test_the_area_under_what_is_in_flight_is_the_work(count: int) -> None:
    lines = list(run_of(count))
    random.Random(1).shuffle(lines)  # results come in no order
    data = figures(lines)
    slots, pauses = laid_out(data.timeline, data.records)
    area = sum(slot.in_flight for slot in slots) * data.timeline.width
    assert area == pytest.approx(sum(one["headwater"]["seconds"] for one in lines))
    assert sum(slot.moment.good for slot in slots) == data.good
    assert not pauses
    assert len(slots) <= MOST_BINS


def test_a_pause_is_cut_and_both_halves_are_seen() -> None:
    """A run that was killed in the evening, and goes on the next day."""
    halves = [*run_of(300), *(line(50_000 + index / 10) for index in range(300))]
    data = figures(halves)
    slots, [pause] = laid_out(data.timeline, data.records)
    assert pause.seconds == pytest.approx(50_000 - 30, rel=0.01)
    assert sum(1 for slot in slots if slot.moment.ended) > 30
    told = dict(overview(data))
    assert told["of it, pauses"] == "13 h 53 min"
    assert float(told["records/s"]) == pytest.approx(600 / 60, rel=0.1)
    assert "13 h 53 min" in panels.svg(panels.panels(data)[0], 0)


def test_lines_of_every_kind() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4}
    refused = {"error": {"message": "too long", "type": "invalid_request_error"}}
    lines: list[dict[str, Any]] = [
        {"custom_id": "openai", "response": {"status_code": 200, "body": {"usage": usage}}, "error": None},
        {"custom_id": "refused", "response": {"status_code": 400, "body": refused}, "error": None},
        {"custom_id": "expired", "response": None, "error": {"code": "batch_expired", "message": "late"}},
        {"custom_id": "text", "response": {"status_code": 502, "body": "Bad gateway"}, "error": None},
        {"custom_id": "vllm", "response": {"status_code": 500, "body": None}, "error": "it broke"},
        {"custom_id": "nothing"},
    ]
    data = figures(lines)
    assert (data.good, data.failed, data.records) == (1, 5, 6)
    assert data.errors == {
        "invalid_request_error": 1,
        "batch_expired": 1,
        "HTTP 502": 1,
        "HTTP 500": 1,
        "no response": 1,
    }
    assert data.examples["batch_expired"] == "late"
    assert data.examples["HTTP 500"] == "it broke"
    assert (data.prompt.sum, data.completion.sum) == (3, 4)
    assert data.first is None
    assert [panel.title for panel in panels.panels(data)] == ["Errors", "Tokens per record"]


def test_tokens_that_the_body_does_not_tell() -> None:
    data = figures([line(tokens=None, input_tokens=3, output_tokens=4)])
    assert (data.prompt.sum, data.completion.sum) == (3, 4)


@pytest.mark.parametrize(
    "torn",
    [
        b'{"id": "b", "custom_id": "r", "resp',
        b"[1, 2]",
        b"\xff\xfe",
        b'{"headwater": {"started": "x"}}',
        b"[" * 9999,
        b'"\\ud800"',
    ],
)
def test_a_line_that_cannot_be_read_is_counted(torn: bytes) -> None:
    data = RunData().read([json.dumps(line()).encode(), b"\n", torn])
    assert (data.records, data.unreadable) == (1, 1)


@pytest.mark.parametrize("nonsense", [-1, 1e300, 0, None])
def test_nonsense_in_times_is_left_out(nonsense: Any) -> None:
    data = figures([line(), {**line(), "headwater": {"started": nonsense, "seconds": nonsense}}])
    assert data.records == 2
    assert len(laid_out(data.timeline, data.records)[0]) <= MOST_BINS


# pictures and page


TIMED = {"Throughput", "Concurrency", "Latency", "Time to first token"}
COUNTED = {"Tokens of the answers", "Tokens per record"}


@pytest.mark.parametrize(
    ("lines", "titles"),
    [
        (run_of(2000, providers=3), TIMED | COUNTED | {"Errors", "Latency by provider"}),
        (run_of(10, every_failed=1), TIMED | {"Errors"}),
        ([line(tokens=None)], {"Throughput", "Concurrency", "Latency"}),
    ],
    ids=["three providers", "all failed", "one"],
)
def test_the_pictures_of_a_run(tmp_path: Path, lines: Iterable[dict[str, Any]], titles: set[str]) -> None:
    report = make(written(tmp_path, lines))
    assert set(re.findall(r"<figure><h2>(.*?)</h2>", report.html)) == titles
    assert report.html.count("<svg") == len(titles)
    image = Image.open(io.BytesIO(report.png))
    assert image.width > 1000
    assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 20


def test_where_nothing_was_answered_no_picture_says_so() -> None:
    throughput, *_ = panels.panels(figures(run_of(40, every_failed=1)))
    drawn = panels.svg(throughput, 0)
    assert "failed" in drawn
    assert "answered" not in drawn


def test_a_few_records_are_drawn_with_marks_at_whole_records() -> None:
    panel = next(one for one in panels.panels(figures(run_of(5))) if one.title == "Concurrency")
    axes = Figure().subplots()
    panel.draw(axes)
    assert [mark for mark in axes.get_yticks() if mark != int(mark)] == []


@pytest.mark.parametrize(
    ("count", "each"), [(1, 0.1), (5, 0.1), (40, 0.1), (3000, 0.1), (20, 20.0), (20, 500.0), (20, 9000.0)]
)
def test_what_is_counted_has_marks_at_whole_numbers(count: int, each: float) -> None:
    lines = [line(number * each, 0.4, error="no" if number % 5 == 4 else None) for number in range(count)]
    for panel in panels.panels(figures(lines)):
        if panel.title != "Latency by provider":
            axes = Figure().subplots()
            panel.draw(axes)
            assert [mark for mark in axes.get_yticks() if mark != int(mark)] == [], panel.title
            low, high = axes.get_ylim()
            assert len([mark for mark in axes.get_yticks() if low < mark <= high]) >= 1, panel.title


@pytest.mark.parametrize("count", [100, 300, 1000, 5000])
def test_a_steady_run_looks_steady(count: int) -> None:
    """Bins have enough records each that their number is not what chance made it."""
    chance, at = random.Random(count), 0.0
    lines = []
    for _ in range(count):
        at += chance.expovariate(30)
        lines.append(line(at, 0.01))
    slots, _ = laid_out((data := figures(lines)).timeline, data.records)
    whole = [slot.moment.ended for slot in slots[1:-1]]
    assert 4 <= len(slots) <= 90
    assert sum(whole) / len(whole) >= 7
    assert min(whole) >= 1


def test_runs_are_marked(tmp_path: Path) -> None:
    lines = [line(index / 10 + 100 * (index // 100), 0.2, run=START + 100 * (index // 100)) for index in range(300)]
    report = make(written(tmp_path, lines))
    assert "3 runs" in report.html
    assert [word in report.html for word in ("run 1", "run 2", "run 3", "run 4")] == [False, True, True, False]
    slots, pauses = laid_out(report.data.timeline, report.data.records)
    second, third = places(report.data.timeline, sorted(report.data.runs.values())[1:])
    assert pauses[0].start < second < pauses[1].start < third < slots[-1].start
    one = make(written(tmp_path, lines[:100]))
    assert "run 2" not in one.html
    assert "1 runs" not in one.html


def test_the_head_says_when_what_whom_and_how_much(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"model": "org/m", "input_tokens": 7, "output_tokens": 20}
    lines = [line(index, **facts, spend=0.25) for index in range(8)]
    told = heading(make(written(tmp_path, lines)).data)
    assert told == ["2027-01-15 08:00 UTC", "model org/m", "provider p", "spend 2"]
    unknown = written(tmp_path, [line(86_400 * index, **facts) for index in range(2)])
    told = heading(read_run(unknown))
    assert (told[0], told[-1]) == ("2027-01-15 08:00 to 2027-01-16 08:00 UTC", "spend unknown (--prices)")
    assert heading(read_run(unknown, prices={"org/m": (1e6, 2e6)}))[-1] == "spend 94"
    several = [line(model=f"m{min(index, 4)}", provider="ab"[index % 2]) for index in range(20)]
    assert heading(figures(several))[1:3] == [
        "model m4 (80%), m0 (5%), m1 (5%) and 2 more",
        "provider a (50%), b (50%)",
    ]
    openais = {"response": {"status_code": 200, "body": {"model": "gpt", "usage": {"prompt_tokens": 3}}}}
    assert heading(figures([openais])) == ["model gpt", "spend unknown (--prices)"]
    page = make(written(tmp_path, [line(model=HOSTILE, run=1e300, spend=-1)])).html
    assert "<script" not in page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.21, "3.21 s"), (119.6, "2 min 00 s"), (505, "8 min 25 s"), (3599.9, "1 h 00 min"), (40_920, "11 h 22 min")],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert length_of_time(seconds) == words


def test_a_file_without_records(tmp_path: Path) -> None:
    report = make(written(tmp_path, []))
    assert "<figure" not in report.html
    assert Image.open(io.BytesIO(report.png)).width > 1000


class Page(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_servers_said_is_text_and_nothing_is_loaded(tmp_path: Path) -> None:
    error = {"code": HOSTILE, "message": HOSTILE, "class": HOSTILE}
    lines = [line(index, provider=(HOSTILE, "_b")[index % 2]) for index in range(20)]
    folder = tmp_path / "<img src=x>"
    folder.mkdir()
    html = make(written(folder, [*lines, *(line(index, error=error) for index in range(9))])).html
    page = Page(html)
    assert {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "embed"} == set()
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href"):
                assert (value or "").startswith(("#", "data:,")), (tag, name, value)
    assert "url(http" not in html
    assert "@import" not in html
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    assert "<script>alert(1)</script>&\"'$x^2$ 中文" in page.text
    assert "default-src 'none'" in html


def test_what_pictures_refer_to_is_their_own(tmp_path: Path) -> None:
    html = make(written(tmp_path, run_of(50))).html
    names = re.findall(r' id="([^"]+)"', html)
    clips = [name for name in names if re.fullmatch(r"[pm][0-9a-f]{10}", name)]
    assert clips
    assert len(clips) == len(set(clips))
    assert plots.INK not in html
    assert "currentColor" in html


# the command


def test_the_command_writes_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, run_of(20))
    folder = tmp_path / "out-report"
    assert main(["batch", "report", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(folder / "report.html"), str(folder / "report.png")]
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    (folder / "report.png").write_bytes(b"mine")
    assert main(["batch", "report", str(file), "-o", str(folder)]) == 2
    assert "--force" in capsys.readouterr().err
    assert (folder / "report.png").read_bytes() == b"mine"
    assert main(["batch", "report", str(file), "-o", str(folder), "--force"]) == 0
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "headwater.batch.report.panels")
    monkeypatch.delattr("headwater.batch.report.panels")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["batch", "report", str(written(tmp_path, run_of(3)))]) == 2
    assert 'pip install "headwater[report]"' in capsys.readouterr().err
    assert not (tmp_path / "out-report").exists()


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n", b'{"custom_id":"a","url":"/v1/embeddings","body":{"input":"x"}}\n' * 3],
    ids=["no lines", "requests"],
)
def test_a_file_that_has_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    assert main(["batch", "report", str(tmp_path / "in.jsonl")]) == 2
    assert "lines is a result" in capsys.readouterr().err
    assert not (tmp_path / "in-report").exists()


def test_the_command_draws_nothing_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out.jsonl").write_bytes(b"")
    assert main(["batch", "report", str(tmp_path / "out.jsonl")]) == 2
    assert "has no results yet" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_run(tmp_path / name)
    assert main(["batch", "report", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err.startswith("headwater: ")
