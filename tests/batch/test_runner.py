"""Batches in this process: every record once, whatever went wrong before."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from support.batch_server import Server, check_complete, request, results, serving, text_for, write_requests

from headwater import AsyncInferenceClient, Budget, InferenceClient, Route
from headwater.batch import runner
from headwater.batch.file_lock import JournalError
from headwater.batch.journal import DiskFile
from headwater.batch.progress import BatchProgress, BatchStarted, BatchSummary, RecordFailed, read_prices
from headwater.errors import InputError, InvalidParameterError

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "in.jsonl", tmp_path / "out.jsonl"


async def run(server: Server, paths: tuple[Path, Path], **options: Any) -> BatchSummary:
    options.setdefault("concurrency", 8)
    async with AsyncInferenceClient(base_url=server.url, api_key="canary-secret", retries=0) as client:
        return await runner.run_batch(client, *paths, **options)


async def test_every_record_is_answered_once_and_a_second_run_has_nothing_to_do(
    server: Server, paths: tuple[Path, Path]
) -> None:
    write_requests(paths[0], range(60))
    before = paths[0].read_bytes()
    first = await run(server, paths)
    assert (first.total, first.done, first.failed, first.left, first.stopped) == (60, 60, 0, 0, None)
    assert (first.input_tokens, first.output_tokens) == (600, 1200)
    check_complete(paths[1], 60)
    content = paths[1].read_bytes()
    again = await run(server, paths)
    assert (again.done, again.left) == (60, 0)
    assert paths[1].read_bytes() == content
    assert paths[0].read_bytes() == before
    assert server.asked.total() == 60
    assert b"canary-secret" not in content
    assert stat.S_IMODE(paths[1].stat().st_mode) == 0o600


async def test_what_is_known_of_a_record(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(1))
    await run(server, paths)
    (line,) = results(paths[1])
    found = line["headwater"]
    assert (found["index"], found["error"], found["attempts"], found["provider"], found["model"]) == (
        (0, None, 1, "url", "m")
    )
    assert 0 <= found["answered"] <= found["seconds"] + 0.01  # uvloop counts in milliseconds
    assert found["started"] > 1.7e9
    assert (found["input_tokens"], found["output_tokens"]) == (10, 20)
    assert (found["in_flight"], found["limit"]) == (1, 8)


async def test_lines_that_were_added_are_new_work_and_the_order_can_be_the_inputs(
    server: Server, paths: tuple[Path, Path]
) -> None:
    write_requests(paths[0], range(20))
    await run(server, paths)
    write_requests(paths[0], range(20, 50), "a")
    await run(server, paths, ordered=True)
    check_complete(paths[1], 50)
    assert [line["custom_id"] for line in results(paths[1])] == [f"id-{number}" for number in range(50)]
    assert server.asked.total() == 50


async def test_a_changed_or_missing_line_is_refused_by_its_number(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(5))
    await run(server, paths)
    content = paths[1].read_bytes()
    paths[0].write_text(paths[0].read_text().replace("q3", "q7"))
    with pytest.raises(InputError, match=r"line . is not what it was"):
        await run(server, paths)
    write_requests(paths[0], range(4))
    with pytest.raises(InputError, match="a result of line 5"):
        await run(server, paths)
    assert paths[1].read_bytes() == content
    assert server.asked.total() == 5


async def test_a_poisoned_record_fails_alone_and_can_be_tried_again(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(30))
    server.poison = {"q7", "q11"}
    told: list[Any] = []
    summary = await run(server, paths, watch=told.append)
    assert (summary.done, summary.failed, summary.left) == (28, 2, 0)
    assert summary.errors == {"InvalidRequestError": 2}
    assert {event.custom_id for event in told if isinstance(event, RecordFailed)} == {"id-7", "id-11"}
    failed = {line["custom_id"]: line for line in results(paths[1]) if line["error"]}
    assert failed["id-7"]["error"]["class"] == "InvalidRequestError"
    assert failed["id-7"]["error"]["code"] == "poisoned"
    assert failed["id-7"]["response"]["status_code"] == 400
    await run(server, paths)
    assert server.asked["q7"] == 1  # a failure is a result
    server.poison = {"q11"}
    again = await run(server, paths, retry_failed=True)
    assert (again.done, again.failed) == (29, 1)
    assert (server.asked["q7"], server.asked["q11"], server.asked["q0"]) == (2, 2, 1)
    server.poison = set()
    await run(server, paths, retry_failed=True)
    check_complete(paths[1], 30)


async def test_a_key_that_a_server_says_is_nowhere(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(4))
    server.tells_key, server.poison = {"q1", "q2"}, {"q2"}
    told: list[Any] = []
    summary = await run(server, paths, watch=told.append)
    assert (summary.done, summary.failed) == (3, 1)
    assert "your key is" in paths[1].read_text()
    assert "canary-secret" not in paths[1].read_text()
    assert "canary-secret" not in repr(told)


async def test_lines_that_failed_may_be_corrected_or_taken_out(server: Server, paths: tuple[Path, Path]) -> None:
    lines = [json.dumps(request(number)) for number in range(6)]
    server.poison = {"q4"}
    wrong = {1: lines[1][:-1], 3: lines[3].replace("/v1/", "/v2/"), 5: "{"}
    paths[0].write_text("\n".join(wrong.get(number, line) for number, line in enumerate(lines)))
    first = await run(server, paths)
    assert (first.total, first.done, first.failed) == (6, 2, 4)
    names = {line["headwater"]["index"]: line["custom_id"] for line in results(paths[1])}
    assert names == {0: "id-0", 1: "id-1", 2: "id-2", 3: "id-3", 4: "id-4", 5: "6"}
    content = paths[1].read_bytes()

    paths[0].write_text("\n".join([*lines[:4], lines[4].replace("q4", "other"), ""]))
    with pytest.raises(InputError, match=r"line . is not what it was .* retry_failed sends it as it is now"):
        await run(server, paths)
    assert paths[1].read_bytes() == content
    again = await run(server, paths, retry_failed=True)
    assert (again.total, again.done, again.failed) == (5, 5, 0)
    assert (server.asked["q0"], server.asked["q1"], server.asked["other"]) == (1, 1, 1)
    once_more = await run(server, paths, ordered=True)
    assert (once_more.total, once_more.done) == (5, 5)
    assert [line["custom_id"] for line in results(paths[1])] == [f"id-{number}" for number in range(5)]

    paths[0].write_text(paths[0].read_text().replace("q0", "q9"))
    with pytest.raises(InputError, match=r"line . is not what it was"):
        await run(server, paths, retry_failed=True)


async def test_half_a_letter_and_what_is_no_number(server: Server, paths: tuple[Path, Path]) -> None:
    texts = ["cut \\ud83d", "\\ud83d\\ude00", "whole"]
    lines = [json.dumps(request(number)).replace(f"q{number}", text) for number, text in enumerate(texts)]
    lines += [lines[2].replace("id-2", "id-3").replace('"m"', '"m", "temperature": NaN')]
    paths[0].write_bytes(b"\xef\xbb\xbf" + "\n\ufeff".join(lines).encode())
    summary = await run(server, paths)
    assert (summary.total, summary.done, summary.failed) == (4, 3, 1)
    found = {line["custom_id"]: line for line in results(paths[1])}
    assert {name: line["headwater"]["index"] for name, line in found.items()} == {f"id-{n}": n for n in range(4)}
    assert set(server.asked) == {"cut \ufffd", "\U0001f600", "whole"}
    assert found["id-3"]["error"]["class"] == "InvalidParameterError"
    assert "temperature is NaN" in found["id-3"]["error"]["message"]


async def test_no_line_says_where_its_request_goes(server: Server, paths: tuple[Path, Path]) -> None:
    with serving() as elsewhere:
        lines = [request(number) for number in range(5)]
        lines[1]["body"]["model"] = elsewhere.url
        lines[2]["provider"] = "groq"
        lines[3]["body"]["extra_headers"] = {"host": "elsewhere"}
        lines[4] = {"custom_id": "id-4", "task": "chat-completion", "inputs": "q4", "model": elsewhere.url}
        paths[0].write_text("\n".join(map(json.dumps, lines)))
        summary = await run(server, paths, model="m")
        assert (summary.done, summary.failed, summary.errors) == (1, 4, {"InvalidParameterError": 4})
        assert elsewhere.asked.total() == 0
    assert server.asked == {"q0": 1}
    assert all(line["headwater"]["attempts"] == 0 for line in results(paths[1]) if line["error"])


async def test_a_line_may_choose_among_the_clients_own_places(server: Server, paths: tuple[Path, Path]) -> None:
    paths[0].write_text(
        json.dumps({**request(0), "provider": "groq"}) + "\n" + json.dumps({**request(1), "provider": "together"})
    )
    async with AsyncInferenceClient(
        provider=[Route("groq", api_key="gsk_a"), Route("nscale", api_key="b")],
        model_mapping={"m": "m"},
        retries=0,
        transport=httpx.MockTransport(_named),
    ) as client:
        summary = await runner.run_batch(client, *paths)
    assert (summary.done, summary.failed) == (1, 1)
    (good, bad) = sorted(results(paths[1]), key=lambda line: line["custom_id"])
    assert good["response"]["body"]["choices"][0]["message"]["content"] == "api.groq.com"
    assert "goes to 'groq' or 'nscale'" in bad["error"]["message"]


def _named(request: httpx.Request) -> httpx.Response:
    message = {"role": "assistant", "content": request.url.host}
    return httpx.Response(200, json={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


async def test_wrong_lines_fail_alone(server: Server, paths: tuple[Path, Path]) -> None:
    lines = [
        json.dumps(request(0)),
        "no json",
        "",
        json.dumps({"custom_id": "x", "task": "none"}),
        json.dumps(request(0)),
    ]
    paths[0].write_text("\n".join(lines))
    for _ in range(2):  # also when they are tried again
        summary = await run(server, paths, retry_failed=True, ordered=True)
        assert (summary.total, summary.done, summary.failed) == (4, 1, 3)
        found = results(paths[1])
        assert [line["custom_id"] for line in found] == ["id-0", "2", "x", "id-0"]
        assert [line["error"] and line["error"]["class"] for line in found] == [
            None,
            "InvalidParameterError",
            "UnsupportedTaskError",
            "InvalidParameterError",
        ]
    assert server.asked == {"q0": 1}


async def test_an_input_that_can_be_read_once(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(300))
    lines = paths[0].read_bytes()
    paths[0].unlink()
    os.mkfifo(paths[0])
    for more, total in ((b"", 300), (json.dumps(request(300)).encode(), 301)):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, paths[0].write_bytes, lines + more)
            summary = await run(server, paths, ordered=True)
        assert (summary.total, summary.done, summary.left) == (total, total, 0)
        check_complete(paths[1], total)
    assert server.asked.total() == 301
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["in.jsonl", "out.jsonl"]


async def test_a_pipe_that_gives_nothing_is_no_empty_batch(server: Server, paths: tuple[Path, Path]) -> None:
    os.mkfifo(paths[0])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, paths[0].write_bytes, b"")
        with pytest.raises(InputError, match="ended without giving anything"):
            await run(server, paths)
    assert not paths[1].exists()


async def test_a_packed_pipe_is_to_be_unpacked_on_its_way(server: Server, paths: tuple[Path, Path]) -> None:
    os.mkfifo(paths[0])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, paths[0].write_bytes, gzip.compress(b"{}"))
        with pytest.raises(InputError, match=r"compressed with gzip: .* `\.\.\. \| zcat \| headwater batch - "):
            await run(server, paths)


async def test_a_cancellation_that_comes_before_the_waiting_for_a_pipe_leaves_no_output(
    server: Server, paths: tuple[Path, Path]
) -> None:
    os.mkfifo(paths[0])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, server, paths)
        while not paths[1].exists():
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert not paths[1].exists()


async def test_waiting_for_a_pipe_can_be_cancelled(server: Server, paths: tuple[Path, Path]) -> None:
    os.mkfifo(paths[0])
    with anyio.move_on_after(0.05) as scope:
        await run(server, paths)
    assert scope.cancelled_caught
    assert not paths[1].exists()


async def test_what_cannot_be_an_input(server: Server, paths: tuple[Path, Path], tmp_path: Path) -> None:
    for source, words in (
        (tmp_path, "is a directory"),
        (Path("/dev/null"), "neither a file nor a pipe"),
        (tmp_path / "nowhere", "cannot be read: No such file"),
        (paths[1], "cannot be read: No such file"),  # as it is the output, too, it must not be made first
    ):
        with pytest.raises(InputError, match=words):
            await run(server, (source, paths[1]))
        assert not paths[1].exists()
    write_requests(paths[0], range(2))
    paths[1].hardlink_to(paths[0])
    (tmp_path / "link").symlink_to(paths[0])
    for output in (paths[0], paths[1], tmp_path / "x" / ".." / "in.jsonl"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="is the input as well"):
            await run(server, (tmp_path / "link", output))
    assert server.asked.total() == 0


async def test_an_output_that_was_deleted_is_put_back_and_told(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(40))
    await run_while(server, paths, lambda: paths[1].unlink(), r"was deleted while .* put back there")
    assert len(results(paths[1])) >= 10
    summary = await run(server, paths)
    assert (summary.total, summary.done, summary.torn) == (40, 40, 0)
    check_complete(paths[1], 40)
    assert server.asked.total() <= 40 + 4


async def test_an_output_that_was_moved_is_told(server: Server, paths: tuple[Path, Path], tmp_path: Path) -> None:
    write_requests(paths[0], range(40))
    moved = tmp_path / "elsewhere.jsonl"
    await run_while(server, paths, lambda: paths[1].rename(moved), r"was moved .* move it back")
    assert not paths[1].exists()
    moved.rename(paths[1])
    await run(server, paths)
    check_complete(paths[1], 40)
    assert server.asked.total() <= 40 + 4


async def test_an_output_that_was_replaced_is_told(server: Server, paths: tuple[Path, Path], tmp_path: Path) -> None:
    write_requests(paths[0], range(40))
    (tmp_path / "other").write_text("mine")
    await run_while(server, paths, lambda: (tmp_path / "other").replace(paths[1]), "was replaced by another file")
    assert paths[1].read_text() == "mine"
    (tmp_path / "out.jsonl.rescued").replace(paths[1])
    await run(server, paths)
    check_complete(paths[1], 40)
    assert server.asked.total() <= 40 + 4


async def test_an_output_whose_folder_was_deleted_is_told(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(40))
    folder = paths[1].parent / "results"
    folder.mkdir()
    inside = (paths[0], folder / "out.jsonl")
    await run_while(server, inside, lambda: shutil.rmtree(folder), "could not be put back")


async def run_while(server: Server, paths: tuple[Path, Path], happens: Callable[[], object], words: str) -> None:
    """A run during which something happens, after ten records or more; it must fail with these words."""
    happened: list[object] = []
    usual = server.answer

    def answer(question: str) -> tuple[int, dict[str, Any]]:
        with server.changed:
            if server.asked.total() >= 14 and not happened:  # so ten of them are written, as four are under way at most
                happened.append(happens())
        return usual(question)

    server.answer = answer  # type: ignore[method-assign]
    with pytest.raises(JournalError, match=words):
        await run(server, paths, concurrency=4)
    assert happened


async def test_a_full_disk_stops_the_run_and_costs_nothing_that_was_counted(
    server: Server, paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_requests(paths[0], range(60))
    told: list[Any] = []
    write = DiskFile.write

    def full(self: DiskFile, data: bytes, offset: int) -> None:
        if offset + len(data) > 8000:
            write(self, data[: max(0, 8000 - offset)], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data, offset)

    with monkeypatch.context() as patched:
        patched.setattr(DiskFile, "write", full)
        with pytest.raises(JournalError, match=r"out\.jsonl cannot be written: No space left"):
            await run(server, paths, watch=told.append, every=0.001)
    counted = max((event.done for event in told if isinstance(event, BatchProgress)), default=0)
    assert len(results(paths[1])) >= counted
    assert server.asked.total() < 60
    summary = await run(server, paths)
    assert (summary.done, summary.torn) == (60, 0)
    check_complete(paths[1], 60)


async def test_a_disk_that_fails_to_sync_stops_the_run(
    server: Server, paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_requests(paths[0], range(300))

    def broken(self: DiskFile) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(DiskFile, "sync", broken)
        with pytest.raises(JournalError, match="Input/output error"):
            await run(server, paths)
    assert paths[1].read_bytes() == b""  # nothing was ever acknowledged
    assert server.asked.total() < 300


async def test_a_run_that_is_cancelled_loses_no_answer_that_came(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(80))
    with anyio.CancelScope() as scope:

        def watch(event: Any) -> None:
            if isinstance(event, BatchProgress) and event.done > 10:
                scope.cancel()

        await run(server, paths, watch=watch, every=0.001)
    assert scope.cancelled_caught
    had = len(results(paths[1]))
    assert 10 < had < 80
    assert server.asked.total() - had <= 8
    await run(server, paths)
    check_complete(paths[1], 80)
    assert server.asked.total() <= 80 + 8


async def test_what_a_watcher_raises_ends_the_run(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(80))

    def watch(event: Any) -> None:
        if isinstance(event, BatchProgress):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await run(server, paths, watch=watch, every=0.001)
    await run(server, paths)
    check_complete(paths[1], 80)


async def test_prices_are_by_model_provider_or_all(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(10))
    summary = await run(server, paths, prices=read_prices(["m=1e3,2e3", "7,7"]))
    assert summary.spend == pytest.approx(10 * (10 * 1e3 + 20 * 2e3) / 1e6)
    again = await run(server, paths, prices=read_prices(["0.5,0.5"]))
    assert again.spend == pytest.approx(10 * 30 * 0.5 / 1e6)
    assert (await run(server, paths, prices=read_prices(["url/m=0,1", "m=9,9"]))).spend == pytest.approx(200 / 1e6)


async def test_records_tell_their_run_and_what_they_cost(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(3))
    await run(server, paths, prices={"m": (1.0, 2.0)})
    write_requests(paths[0], range(3, 5), "a")
    await run(server, paths)
    facts = [line["headwater"] for line in results(paths[1])]
    first, second = sorted({fact["run"] for fact in facts})
    assert [fact["spend"] for fact in facts if fact["run"] == first] == [pytest.approx(50e-6)] * 3
    assert [fact["spend"] for fact in facts if fact["run"] == second] == [None] * 2


async def test_a_spent_budget_leaves_the_rest_for_another_run(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(60))
    budget = Budget(usd=500e-6)  # ten records of 50
    summary = await run(server, paths, prices={"m": (1.0, 2.0)}, budget=budget, concurrency=4)
    assert summary.stopped == "budget" and summary.reason is not None and "BudgetExceededError" in summary.reason
    assert summary.failed == 0 and 10 <= summary.done <= 13 and summary.left == 60 - summary.done
    assert summary.spend == pytest.approx(budget.spent) == pytest.approx(50e-6 * summary.done)
    assert server.asked.total() == summary.done
    again = await run(server, paths, prices={"m": (1.0, 2.0)}, budget=Budget(usd=1))
    assert (again.done, again.left, again.stopped) == (60, 0, None)
    assert again.spend == pytest.approx(60 * 50e-6)
    check_complete(paths[1], 60)


async def test_the_clients_own_prices_tell_the_spend(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(3))
    async with AsyncInferenceClient(base_url=server.url, prices={"m": (1.0, 2.0)}) as client:
        summary = await runner.run_batch(client, *paths)
    assert summary.spend == pytest.approx(3 * 50e-6)
    assert [line["headwater"]["spend"] for line in results(paths[1])] == [pytest.approx(50e-6)] * 3


async def test_tokens_alone_are_no_money(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(2))
    summary = await run(server, paths, budget=10_000)
    assert summary.spend is None
    again = await run(server, paths, prices={"m": (1.0, 2.0)})
    assert again.spend == pytest.approx(2 * 50e-6)
    write_requests(paths[0], range(2, 3), "a")
    told = await run(server, paths, prices={"m": (2.0, 2.0)})
    assert told.spend == pytest.approx(3 * 60e-6) and results(paths[1])[2]["headwater"]["spend"] == pytest.approx(60e-6)
    table, other, noted = {"m": (1.0, 2.0)}, {"n": (9.0, 9.0)}, 60e-6
    for prices, spend in (
        (table, 3 * 50e-6),
        ([table, "provider"], 3 * 50e-6),
        (["provider", table], 2 * 50e-6 + noted),  # what was noted, else by the table
        (["provider", other], noted),
        (other, noted),
        ("provider", noted),
        ([other, table], 3 * 50e-6),
    ):
        assert (await run(server, paths, prices=prices)).spend == pytest.approx(spend), prices
    async with AsyncInferenceClient(base_url=server.url, prices=table) as client:
        assert (await runner.run_batch(client, *paths)).spend == pytest.approx(3 * 50e-6), "the client's own"
    assert (await run(server, paths)).spend is None


async def test_a_watch_that_nobody_would_await_is_refused(server: Server, paths: tuple[Path, Path]) -> None:
    async def watch(event: object) -> None:
        """What nobody would await."""

    write_requests(paths[0], range(2))
    with pytest.raises(InvalidParameterError, match="watch"):
        await run(server, paths, watch=watch)
    assert not paths[1].exists()


@pytest.mark.parametrize("given", ["1", "1,2,3", "m=a,b", "-1,2", "nan,1", ""])
async def test_wrong_prices_are_refused(given: str) -> None:
    with pytest.raises(InvalidParameterError, match="IN,OUT"):
        read_prices([given])


async def test_the_start_says_what_is_there(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(5))
    await run(server, paths)
    with paths[1].open("ab") as file:
        file.write(b'{"id":"batch_req_0123')
    write_requests(paths[0], range(5, 9), "a")
    told: list[Any] = []
    summary = await run(server, paths, watch=told.append)
    start = next(event for event in told if isinstance(event, BatchStarted))
    assert (start.total, start.done, start.left, start.torn) == (9, 5, 4, 21)
    assert summary.torn == 21
    assert told[-1] == summary
    check_complete(paths[1], 9)


async def test_an_input_that_cannot_be_begun_leaves_no_output(server: Server, paths: tuple[Path, Path]) -> None:
    paths[0].write_text("id;text\n1;hello\n")
    with pytest.raises(InputError, match="line 1 is no JSON object"):
        await run(server, paths)
    with pytest.raises(InputError, match="cannot be read"):
        await run(server, (paths[0].with_name("none"), paths[1]))
    assert not paths[1].exists()
    with pytest.raises(InputError, match="is the input as well"):
        await run(server, (paths[0], paths[0]))
    assert paths[0].read_text() == "id;text\n1;hello\n"


async def test_an_empty_input_is_an_empty_batch(server: Server, paths: tuple[Path, Path]) -> None:
    paths[0].write_text("\n\n")
    summary = await run(server, paths, ordered=True)
    assert (summary.total, summary.left) == (0, 0)


async def test_a_record_that_takes_too_long_fails_alone(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(2))
    server.hold()
    summary = await run(server, paths, timeout=0.2)
    assert summary.errors == {"InferenceTimeoutError": 2}
    assert {line["error"]["code"] for line in results(paths[1])} == {"inference_timeout"}


def test_blocking_code_has_it_too(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(10))
    with InferenceClient(base_url=server.url) as client:
        summary = runner.run_batch_sync(client, *paths, concurrency=3)
    assert summary.done == 10
    check_complete(paths[1], 10)
    assert text_for("q1") in paths[1].read_text()


async def test_a_pause_that_the_server_wants_is_an_event(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(4))
    server.refuses, server.wants = 429, 600
    waited: list[float] = []
    with anyio.CancelScope() as scope:

        def watch(event: Any) -> None:
            if isinstance(event, BatchProgress) and event.waiting is not None:
                waited.append(event.waiting)
                scope.cancel()

        await run(server, paths, watch=watch, every=0.01, concurrency=1)
    assert scope.cancelled_caught
    assert 0 < waited[0] <= 900
