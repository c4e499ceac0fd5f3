"""Vendors of queued jobs, as the emulator plays them: data for the tests of jobs and of large results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from headwater import emulator
from headwater.emulator.server import Emulator
from headwater.protocol.events import Progress, Queued, Started, Submitted, Transferred
from support.drivers import Driver

KEY = "key-of-a-test"


class Vendor(NamedTuple):
    """What a vendor's jobs are like: which events they give, and its words for a job that ends without a result."""

    provider: str
    task: str
    cancels: bool
    events: tuple[type, ...]
    failed: str
    moderated: str
    unknown: str

    def __str__(self) -> str:
        return self.provider

    def client(self, driver: Driver, url: Emulator, **more: Any) -> Any:
        settings = {"api_key": KEY, "transport": emulator.rewriting(str(url)), **more}
        return driver.client(f"org/{self.task}", provider=self.provider, **settings)

    def of(self, client: Any) -> Any:
        """Its task on a client."""
        return getattr(client, self.task.replace("-", "_"))


FILM, DRAW = "text-to-video", "text-to-image"
SAID, LOGGED = (Submitted, Queued, Started, Transferred), (Submitted, Queued, Started, Progress, Transferred)
FAILED = "The model failed"
VENDORS = (
    Vendor("fal-ai", FILM, True, LOGGED, FAILED, "flagged by a content checker", "PAUSED"),
    Vendor("replicate", FILM, True, LOGGED, FAILED, "NSFW content detected", "hibernating"),
    Vendor("wavespeed", FILM, True, SAID, FAILED, "potentially sensitive", "paused"),
    Vendor("together", FILM, False, SAID, FAILED, "NSFW content detected", "paused"),
    Vendor(
        "novita", FILM, False, (Submitted, Queued, Progress, Transferred), "the model failed", "moderation", "PAUSED"
    ),
    Vendor("black-forest-labs", DRAW, False, (Submitted, Progress, Transferred), FAILED, "Derivative Works", "Paused"),
    Vendor("zai-org", DRAW, False, (Submitted, Started, Transferred), FAILED, "unsafe", "PAUSED"),
)
CANCELLING = [vendor for vendor in VENDORS if vendor.cancels]
vendors = pytest.mark.parametrize("vendor", VENDORS, ids=str)
cancelling = pytest.mark.parametrize("vendor", CANCELLING, ids=str)


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with emulator.running() as url:
        yield url


@pytest.fixture
def everywhere(running: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, which has forgotten what was before; clients do not wait between two questions."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    running.forget()
    return running


def submissions(url: Emulator) -> int:
    """How often the job was submitted: a cancellation has no body."""
    return sum(request.method == "POST" and request.json is not None for request in url.requests)
