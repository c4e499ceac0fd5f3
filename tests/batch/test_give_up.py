"""When a batch gives up by itself, and when it goes on: the rule, and a run of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.batch_server import Server, check_complete, results, serving, write_requests

from headwater import AsyncInferenceClient
from headwater.batch import GaveUp, RecordFailed, run_batch
from headwater.batch.give_up import MALFORMED_FACTOR, MOST_HELD_RESULTS, OUTAGE_SECONDS, GiveUpRule
from headwater.batch.progress import BatchSummary
from headwater.cli import main
from headwater.errors import (
    AuthenticationError,
    ConnectError,
    InvalidParameterError,
    InvalidRequestError,
    MissingCredentialError,
    NotFoundError,
    RateLimitError,
    ServerError,
)

KEY, MISSING, WRONG, GONE, BROKEN = (
    AuthenticationError("no"),
    NotFoundError("no"),
    InvalidRequestError("no"),
    ConnectError("no"),
    ServerError("no"),
)


def told(rule: GiveUpRule[int], error: Exception | None, count: int, *, every: float = 0.0) -> list[int]:
    """What is written of so many results of one kind, which are numbered."""
    return [result for number in range(count) for result in rule.add(number, error, number * every)]


@pytest.mark.parametrize("error", [KEY, MISSING, WRONG, GONE, MissingCredentialError("no")])
def test_the_first_ones_that_all_fail_alike_trip_it_and_are_not_written(error: Exception) -> None:
    rule: GiveUpRule[int] = GiveUpRule(5, has_succeeded=False, now=0.0)
    assert told(rule, error, 4) == []
    assert rule.cause is None
    assert told(rule, error, 1) == []
    assert rule.cause is error
    assert rule.count == 5
    assert told(rule, error, 3) == []  # those under way
    assert told(rule, None, 2) == [0, 1]
    assert told(rule, error, 3) == []
    assert rule.release() == []


def test_a_success_lets_all_be_written_in_their_order() -> None:
    rule: GiveUpRule[int] = GiveUpRule(5, has_succeeded=False, now=0.0)
    assert [rule.add(number, KEY, 0.0) for number in range(4)] == [[]] * 4
    assert rule.add(4, None, 0.0) == [0, 1, 2, 3, 4]
    assert rule.add(5, KEY, 0.0) == []
    assert rule.release() == [5]
    assert rule.cause is None


def test_failures_of_several_kinds_are_the_records_own() -> None:
    rule: GiveUpRule[int] = GiveUpRule(2, has_succeeded=False, now=0.0)
    written = [rule.add(number, (KEY, MISSING)[number % 2], 0.0) for number in range(10)]
    assert written == [[], *([number] for number in range(9))]
    assert rule.cause is None


@pytest.mark.parametrize("error", [MISSING, WRONG, InvalidParameterError("no")])
@pytest.mark.parametrize("earlier", [True, False])
def test_once_anything_has_succeeded_a_record_fails_alone(error: Exception, earlier: bool) -> None:
    rule: GiveUpRule[int] = GiveUpRule(2, has_succeeded=earlier, now=0.0)
    if not earlier:
        rule.add(0, None, 0.0)
    assert told(rule, error, 500) == list(range(500))


def test_a_key_that_is_taken_back_in_the_middle_trips_it() -> None:
    rule: GiveUpRule[int] = GiveUpRule(3, has_succeeded=True, now=0.0)
    assert told(rule, None, 10) == list(range(10))
    assert told(rule, KEY, 3) == []
    assert rule.cause is KEY


@pytest.mark.parametrize("error", [GONE, BROKEN, RateLimitError("no")])
def test_a_server_may_be_away_for_a_while(error: Exception) -> None:
    rule: GiveUpRule[int] = GiveUpRule(3, has_succeeded=False, now=0.0)
    rule.add(0, None, 100.0)
    assert [rule.add(number, error, 99.9 + OUTAGE_SECONDS) for number in range(10)] == [[]] * 10
    assert rule.cause is None
    assert rule.add(10, error, 100.0 + OUTAGE_SECONDS) == []
    assert rule.cause is error


def test_what_the_map_lets_fail_after_it_has_waited_is_not_written() -> None:
    """A server that went away: nothing fails for minutes, and then everything at once."""
    rule: GiveUpRule[int] = GiveUpRule(20, has_succeeded=False, now=0.0)
    rule.add(0, None, 5.0)
    assert [rule.add(number, GONE, 125.0) for number in range(1000)] == [[]] * 1000
    assert rule.cause is GONE
    assert rule.count == 20


def test_failures_that_may_pass_are_of_one_kind() -> None:
    rule: GiveUpRule[int] = GiveUpRule(4, has_succeeded=True, now=0.0)
    rule.add(0, WRONG, 0.0)  # it has answered
    for number in range(4):
        assert rule.add(number, (BROKEN, GONE)[number % 2], number * OUTAGE_SECONDS) == []
    assert rule.cause is GONE


def test_what_is_held_is_bounded() -> None:
    rule: GiveUpRule[int] = GiveUpRule(3, has_succeeded=True, now=0.0)
    assert told(rule, BROKEN, MOST_HELD_RESULTS + 7) == list(range(7))
    assert rule.release() == list(range(7, MOST_HELD_RESULTS + 7))


def test_of_lines_that_are_wrong_by_themselves_it_takes_more() -> None:
    rule: GiveUpRule[int] = GiveUpRule(2, has_succeeded=False, now=0.0)
    told(rule, InvalidParameterError("no"), 2 * MALFORMED_FACTOR - 1)
    assert rule.cause is None
    told(rule, InvalidParameterError("no"), 1)
    assert rule.cause is not None


def test_without_a_number_nothing_is_held() -> None:
    rule: GiveUpRule[int] = GiveUpRule(None, has_succeeded=False, now=0.0)
    assert told(rule, KEY, 100) == list(range(100))
    assert rule.cause is None


# a run


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "in.jsonl", tmp_path / "out.jsonl"


async def run(server: Server, paths: tuple[Path, Path], **options: Any) -> BatchSummary:
    async with AsyncInferenceClient(base_url=server.url, retries=0) as client:
        return await run_batch(client, *paths, **{"concurrency": 4, **options})


@pytest.mark.anyio
@pytest.mark.parametrize("status", [401, 404])
async def test_a_run_that_cannot_work_stops_early_and_leaves_all_to_be_done(
    server: Server, paths: tuple[Path, Path], status: int
) -> None:
    write_requests(paths[0], range(80))
    server.refuses = status
    events: list[Any] = []
    summary = await run(server, paths, watch=events.append)
    assert (summary.done, summary.failed, summary.left, summary.stopped) == (0, 0, 80, "gave_up")
    assert summary.reason is not None
    assert "refused by everybody" in summary.reason
    assert server.asked.total() <= 20 + 4
    assert paths[1].read_bytes() == b""
    [told] = [event for event in events if isinstance(event, GaveUp)]
    assert told.failures == 20
    assert not [event for event in events if isinstance(event, RecordFailed)]
    server.refuses = 0
    assert (await run(server, paths)).done == 80
    check_complete(paths[1], 80)


@pytest.mark.anyio
async def test_what_came_before_a_key_was_taken_back_is_kept(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(80))
    server.refuses, server.refuses_after = 401, 30
    summary = await run(server, paths, concurrency=1)  # or a refusal may overtake an answer, and be a result
    assert summary.stopped == "gave_up"
    assert (summary.done, summary.failed) == (30, 0)
    assert len(results(paths[1])) == 30
    server.refuses = 0
    assert (await run(server, paths)).done == 80
    check_complete(paths[1], 80)


@pytest.mark.anyio
async def test_a_run_may_go_on_in_any_case_and_a_short_one_does(server: Server, paths: tuple[Path, Path]) -> None:
    write_requests(paths[0], range(19))
    server.refuses = 401
    assert (await run(server, paths)).failed == 19
    write_requests(paths[0], range(19, 60), "a")
    assert (await run(server, paths, give_up_after=None)).failed == 60
    assert len(results(paths[1])) == 60


@pytest.mark.anyio
@pytest.mark.parametrize("number", [0, -1, True])
async def test_a_number_that_cannot_be(server: Server, paths: tuple[Path, Path], number: Any) -> None:
    write_requests(paths[0], range(1))
    with pytest.raises(InvalidParameterError, match="give_up_after"):
        await run(server, paths, give_up_after=number)


def test_the_command_says_so(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_requests(tmp_path / "in.jsonl", range(100))
    server.refuses = 401
    words = ["batch", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl"), "--base-url", server.url]
    assert main(words) == 4
    told = capsys.readouterr().err
    assert "20 records in a row failed alike, with AuthenticationError" in told
    assert "gave up: 0 of 100 records done, 0 failed, 100 left" in told
    assert "once that is mended, go on with: headwater batch" in told
    assert main([*words, "--keep-going"]) == 3
    assert "100 failed, 0 left" in capsys.readouterr().err
