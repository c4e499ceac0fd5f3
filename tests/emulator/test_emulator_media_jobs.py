"""Jobs in every vendor's dialect: how they go on, how they end, and how they are cancelled."""

from __future__ import annotations

import pytest
from support.job_endpoints import VENDORS, Caller, Vendor

from headwater import emulator

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


@every_vendor
def test_a_job_goes_on_by_being_polled(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        assert (job.submit(), *(job.poll() for _ in range(3))) == vendor.states
        assert job.poll() == vendor.states[-1]
        found = job.result()
        assert found.status_code == 200 and found.headers["content-type"] in ("image/png", "video/mp4")
        (record,) = url.jobs
        assert (record.provider, record.polls, record.submits) == (vendor.name, 4, 1)
        assert record.state == "done" and not record.cancelled


@every_vendor
def test_how_jobs_end(vendor: Vendor) -> None:
    with emulator.running() as url:
        for words, state in vendor.ends.items():
            job = Caller(url, vendor)
            job.submit(words)
            assert [job.poll() for _ in range(5)][-1] == state, words


@every_vendor
def test_an_instant_job_is_done_at_the_first_poll(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("instant")
        assert job.poll() == vendor.states[-1] and job.result().status_code == 200


@every_vendor
def test_a_flaky_job_fails_three_polls_and_is_not_behind_for_it(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("flaky")
        polls = [job.send("GET", vendor.poll(job.made)).status_code for _ in range(3)]
        assert polls == [500, 500, 500]
        assert tuple(job.poll() for _ in range(3)) == vendor.states[1:]
        assert [(record.submits, record.polls) for record in url.jobs] == [(1, 6)]


@every_vendor
def test_what_is_sent_twice_counts_twice(vendor: Vendor) -> None:
    with emulator.running() as url:
        for _ in range(2):
            Caller(url, vendor).submit()
        assert [record.submits for record in url.jobs] == [1, 2]
        assert len({record.id for record in url.jobs}) == 2
        url.forget()
        assert url.jobs == []


@every_vendor
def test_a_result_can_be_gone(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("instant-gone")
        job.poll()
        assert job.result().status_code == 404


@every_vendor
def test_jobs_of_nobody(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit()
        path = vendor.poll(job.made).replace(url.jobs[0].id, "00000000-none")
        assert job.send("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("name", "method", "ending", "state"),
    [
        ("fal-ai", "PUT", "/cancel", "COMPLETED"),
        ("replicate", "POST", "/cancel", "canceled"),
        ("wavespeed", "DELETE", "", "failed"),
    ],
)
def test_cancelling(name: str, method: str, ending: str, state: str) -> None:
    vendor = next(vendor for vendor in VENDORS if vendor.name == name)
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("forever")
        path = vendor.poll(job.made).removesuffix("/status").removesuffix("/result") + ending
        with pytest.raises(TimeoutError, match="a job is cancelled"):
            url.job_cancelled(0.01)
        job.send(method, path).raise_for_status()
        url.job_cancelled()
        assert url.jobs[0].cancelled and job.poll() == state
        job.send(method, path)
        assert url.jobs[0].state == "cancelled"


def test_wavespeed_deletes_many() -> None:
    vendor = VENDORS[4]
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("forever")
        body = {"ids": [url.jobs[0].id]}
        job.send("POST", "/direct/wavespeed/api/v3/predictions/delete", json=body).raise_for_status()
        url.job_cancelled()
