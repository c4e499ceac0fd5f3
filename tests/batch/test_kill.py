"""The real command, killed: no answer that was written is lost or asked for again, none is there twice."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.batch_server import Server, check_complete, results, serving, write_requests
from support.cli_subprocess import SECONDS, started

AT_ONCE = 8
RECORDS = 240


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def arguments(server: Server, folder: Path, *more: str) -> list[str]:
    paths = [str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl")]
    return ["batch", *paths, "--base-url", server.url, "--concurrency", str(AT_ONCE), *more]


def test_kill_at_random_moments(server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(RECORDS))
    before = (tmp_path / "in.jsonl").read_bytes()
    chance = random.Random(7)
    kills = 0
    for _ in range(3):
        asked = server.asked.total()
        with started(*arguments(server, tmp_path)) as process:
            server.wait_asked(asked + chance.randint(AT_ONCE + 1, 50))
            process.kill()
        kills += 1
    with started(*arguments(server, tmp_path, "--ordered")) as process:
        _, told = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, told
    check_complete(tmp_path / "out.jsonl", RECORDS)
    assert [line["headwater"]["index"] for line in results(tmp_path / "out.jsonl")] == list(range(RECORDS))
    assert server.asked.total() <= RECORDS + kills * AT_ONCE
    assert (tmp_path / "in.jsonl").read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_second_run_is_refused_at_once(server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(20))
    server.hold()
    with started(*arguments(server, tmp_path)) as first:
        server.wait_asked(1)
        with started(*arguments(server, tmp_path)) as second:
            _, told = second.communicate(timeout=SECONDS)
        assert second.returncode == 1
        assert b"out.jsonl is being written by another run" in told
        server.go_on()
        first.communicate(timeout=SECONDS)
        assert first.returncode == 0
    check_complete(tmp_path / "out.jsonl", 20)
    assert server.asked.total() == 20


@pytest.mark.parametrize("told_by", [signal.SIGINT, signal.SIGTERM])
def test_once_told_to_stop_it_waits_for_what_is_under_way(
    server: Server, tmp_path: Path, told_by: signal.Signals
) -> None:
    write_requests(tmp_path / "in.jsonl", range(60))
    server.hold()
    with started(*arguments(server, tmp_path)) as process:
        server.wait_asked(AT_ONCE)
        process.send_signal(told_by)
        assert process.stderr is not None
        while b"no more records are begun" not in process.stderr.readline():
            assert process.poll() is None
        server.go_on()
        _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    had = len(results(tmp_path / "out.jsonl"))
    assert server.asked.total() == had  # each that was asked was waited for
    assert AT_ONCE <= had < 60
    assert f"{60 - had} records are left; go on with: headwater batch".encode() in told
    with started(*arguments(server, tmp_path)) as process:
        process.communicate(timeout=SECONDS)
        assert process.returncode == 0
    check_complete(tmp_path / "out.jsonl", 60)
    assert server.asked.total() == 60


def test_told_twice_it_ends_at_once(server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(60))
    with started(*arguments(server, tmp_path)) as process:
        server.wait_asked(20)
        server.hold()
        server.wait_asked(21)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while b"no more records are begun" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=SECONDS)  # the server still holds its answers
    assert process.returncode == 130
    assert b"stopped at once" in told
    had = len(results(tmp_path / "out.jsonl"))
    assert 20 - AT_ONCE <= had < 60
    server.go_on()
    with started(*arguments(server, tmp_path)) as process:
        process.communicate(timeout=SECONDS)
        assert process.returncode == 0
    check_complete(tmp_path / "out.jsonl", 60)
    assert server.asked.total() <= 60 + AT_ONCE
