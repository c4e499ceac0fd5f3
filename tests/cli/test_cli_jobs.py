"""Ctrl-C on a job at the command: what became of the job is said."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

import pytest
from support.drivers import Driver
from support.job_providers import VENDORS, Vendor
from support.job_providers import everywhere as everywhere
from support.job_providers import running as running

from headwater.cli import connection, jobs
from headwater.cli.progress import ProgressLine
from headwater.emulator.server import Emulator
from headwater.protocol.events import Job, Submitted

SYNC = Driver("sync")


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_ctrl_c_says_what_became_of_the_job(
    vendor: Vendor, everywhere: Emulator, headwater_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = vendor.client(SYNC, everywhere).client

    def interrupted(_: ProgressLine, event: Any) -> None:
        if not isinstance(event, Submitted):
            raise KeyboardInterrupt

    monkeypatch.setattr(connection, "client_for", lambda _: client)
    monkeypatch.setattr(ProgressLine, "show", interrupted)
    done = headwater_command(vendor.task, "forever")
    assert done.code == 130
    job = everywhere.jobs[0]
    assert job.id in done.err
    assert vendor.provider in done.err
    assert job.cancelled is vendor.cancels
    assert ("was cancelled" in done.err) is vendor.cancels
    assert ("goes on" in done.err) is not vendor.cancels
    if not vendor.cancels:
        told = ast.literal_eval(done.err[done.err.index("resume(") + len("resume(") : done.err.rindex(").result()")])
        assert Job.from_json(told).id == job.id
        assert json.loads(told)["provider"] == vendor.provider


def test_what_nobody_knows_is_said_too() -> None:
    said = jobs.outcome_text(Job(provider="fal-ai", task="text-to-video", id="j-1"), "unknown")
    assert "is not known" in said
    assert "resume(" in said
