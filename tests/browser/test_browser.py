"""What a person would see: tokens that arrive in a page, a model that stops with it, and the picture of a batch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.web_servers import PATIENCE, serving

from headwater import AsyncInferenceClient
from headwater.emulator import faults
from headwater.examples.web_backend import application

ANSWER = "document.getElementById('answer').textContent"
STATE = "document.getElementById('state').textContent"


@pytest.fixture
def upstream() -> Iterator[faults.FaultServer]:
    with faults.running() as running:
        yield running


@pytest.fixture(params=["uvicorn", "hypercorn-trio"])
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def backend(upstream: faults.FaultServer, fault: str, **parameters: Any) -> Any:
    return application(AsyncInferenceClient(base_url=upstream.at(fault, **parameters), retries=0), "m")


def ask(page: Any, port: int) -> None:
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_role("button", name="Ask").click()


def test_a_page_that_is_closed_stops_the_model(
    page: Any, server: str, upstream: faults.FaultServer, pictures: Path
) -> None:
    with serving(backend(upstream, "sse_forever", pause=0.02), server) as port:
        ask(page, port)
        page.wait_for_function(f"{ANSWER}.startsWith('w0 w1 w2 ')")
        seen = page.evaluate(f"{ANSWER}.length")
        page.wait_for_function(f"{ANSWER}.length > {seen + 20}")
        page.screenshot(path=pictures / f"page-{server}.png")
        assert upstream.open_count() == 1
        page.close()
        assert upstream.wait_closed(1, PATIENCE)
    assert upstream.connections[0].closed_by == "client"


def test_the_stop_button_stops_the_model(page: Any, server: str, upstream: faults.FaultServer) -> None:
    with serving(backend(upstream, "sse_forever", pause=0.02), server) as port:
        ask(page, port)
        page.wait_for_function(f"{ANSWER}.length > 20")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_function(f"{STATE} == 'stopped'")
        assert upstream.wait_closed(1, PATIENCE)


@pytest.mark.parametrize(
    ("fault", "state", "answer"),
    [
        ("ok", "done", faults.TEXT),
        ("sse_error_object", 'failed: {"error":{"type":"ServerError"', "w0 w1 w2 "),
        ("sse_unicode_breaks", "done", faults.text_of("sse_unicode_breaks")),
    ],
)
def test_an_answer_s_end_is_shown(page: Any, upstream: faults.FaultServer, fault: str, state: str, answer: str) -> None:
    with serving(backend(upstream, fault), "uvicorn") as port:
        ask(page, port)
        page.wait_for_function(f"{STATE}.startsWith({json.dumps(state)})")
        assert page.evaluate(ANSWER) == answer


def results(folder: Path) -> Path:
    """Lines of three providers, some of which failed with words that want to be more than words."""
    hostile = "<script>console.error('run')</script><img src=x onerror=console.error('run')>"
    lines = []
    for index in range(900):
        failed = index % 17 == 0
        usage = {"prompt_tokens": 40 + index % 50, "completion_tokens": 10 + index % 90}
        lines.append(
            {
                "id": f"b-{index}",
                "custom_id": hostile,
                "response": None if failed else {"status_code": 200, "request_id": None, "body": {"usage": usage}},
                "error": {"code": "x", "message": hostile, "class": hostile[: 17 + index % 3]} if failed else None,
                "headwater": {
                    "index": index,
                    "started": 1.8e9 + index / 20,
                    "seconds": 0.5 + (index * 7919 % 100) / 40,
                    "first_event": 0.1 + (index * 104729 % 100) / 300,
                    "provider": ("groq", "together", hostile)[index % 3],
                    "in_flight": 30,
                    "limit": min(40, 4 + index // 20),
                    "attempts": 1 + (index % 29 == 0),
                },
            }
        )
    file = folder / "out<b>.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_is_a_page(page: Any, tmp_path: Path, pictures: Path, scheme: str) -> None:
    arguments = ["batch", "report", str(results(tmp_path)), "-o", str(tmp_path / "made")]
    command = [sys.executable, "-m", "headwater", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    page.emulate_media(color_scheme=scheme)
    page.goto((tmp_path / "made" / "report.html").as_uri())
    page.screenshot(path=pictures / f"report-{scheme}.png", full_page=True)
    assert page.locator("h1").text_content() == "Batch report: out<b>.jsonl"
    assert page.locator("figure svg").count() >= 7
    boxes = page.locator("figure svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert all(height > 100 for height in boxes)
    assert page.locator("script, img").count() == 0
    ink = page.locator("figure svg text").first.evaluate("one => getComputedStyle(one).fill")
    assert ink == page.evaluate("getComputedStyle(document.body).color")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
