"""The limits that pace a map, of those that answers tell of."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from headwater.responses.quota import pacing_limits, rate_limits

NOW = 1_800_000_000.0


class Limit(NamedTuple):
    unit: str
    remaining: float | None
    reset: float | None
    limit: float | None


SPELLINGS = {
    "openai": (
        {
            "x-ratelimit-limit-requests": "600",
            "x-ratelimit-remaining-requests": "599",
            "x-ratelimit-reset-requests": "1m1.5s",
            "x-ratelimit-limit-tokens": "400000",
            "x-ratelimit-remaining-tokens": "399973",
            "x-ratelimit-reset-tokens": "6ms",
        },
        [Limit("requests", 599, 61.5, 600), Limit("tokens", 399973, 0.006, 400000)],
    ),
    "cerebras, whose limit of a day is not spread": (
        {
            "x-ratelimit-limit-requests-day": "216000",
            "x-ratelimit-remaining-requests-day": "215977",
            "x-ratelimit-reset-requests-day": "24588.03",
            "x-ratelimit-limit-tokens-minute": "160000",
            "x-ratelimit-remaining-tokens-minute": "150000",
            "x-ratelimit-reset-tokens-minute": "48.5",
        },
        [Limit("tokens", 150000, 48.5, 160000)],
    ),
    "anthropic": (
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:30Z",
        },
        [Limit("requests", 49, 30, 50)],
    ),
    "replicate": (
        {"ratelimit-remaining": "598", "ratelimit-reset": "1"},
        [Limit("requests", 598, 1, None)],
    ),
    "a point in time": (
        {"x-ratelimit-limit": "1200", "x-ratelimit-remaining": "1199", "x-ratelimit-reset": "1800000020"},
        [Limit("requests", 1199, 20, 1200)],
    ),
    "hugging face": (
        {"ratelimit": '"api";r=499;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'},
        [Limit("requests", 499, 55, 500)],
    ),
    "an older draft": ({"ratelimit": "limit=100, remaining=99, reset=30"}, [Limit("requests", 99, 30, 100)]),
    "two policies, of which the longer is not spread": (
        {"ratelimit": '"burst";r=9;t=3, "long";r=90;t=600, "day";r=99;t=7200', "ratelimit-policy": '"burst";q=10;w=5'},
        [Limit("requests", 9, 3, 10), Limit("requests", 90, 600, None)],
    ),
    "the last minutes of a day": (
        {
            "x-ratelimit-limit-requests-day": "216000",
            "x-ratelimit-remaining-requests-day": "215977",
            "x-ratelimit-reset-requests-day": "60",
        },
        [],
    ),
    "tokens that go in, and tiers beside": (
        {
            "anthropic-ratelimit-input-tokens-limit": "40000",
            "anthropic-ratelimit-input-tokens-remaining": "39000",
            "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:30Z",
            "anthropic-ratelimit-output-tokens-remaining": "8",
            "anthropic-ratelimit-output-tokens-reset": "2027-01-15T08:00:30Z",
            "anthropic-priority-input-tokens-remaining": "0",
            "anthropic-priority-input-tokens-reset": "2027-01-15T08:00:30Z",
            "anthropic-ratelimit-unified-5h-utilization": "1",
            "anthropic-ratelimit-unified-5h-reset": "1800000030",
        },
        [Limit("input-tokens", 39000, 30, 40000)],
    ),
    "tokens in all before those that go in": (
        {
            "anthropic-ratelimit-tokens-limit": "50000",
            "anthropic-ratelimit-tokens-remaining": "100",
            "anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:10Z",
            "anthropic-ratelimit-input-tokens-remaining": "39000",
            "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:30Z",
        },
        [Limit("tokens", 100, 10, 50000)],
    ),
    "by the server's clock": (
        {
            "date": "Fri, 15 Jan 2027 07:00:00 GMT",
            "x-ratelimit-remaining": "5",
            "x-ratelimit-reset": str(int(NOW) - 3590),
            "x-ratelimit-used": "5",
        },
        [Limit("requests", 5, 10, None)],
    ),
    "no reset": ({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}, []),
    "garbage": ({"x-ratelimit-remaining": "nan", "x-ratelimit-reset": "-1", "x-ratelimit": "false"}, []),
    "nothing": ({"content-type": "application/json"}, []),
}


@pytest.mark.parametrize(("headers", "expected"), SPELLINGS.values(), ids=SPELLINGS)
def test_a_spelling(headers: dict[str, str], expected: list[Limit]) -> None:
    told = rate_limits(headers, lambda: NOW)
    found = [(limit.unit, limit.remaining, limit.reset, limit.limit) for limit in pacing_limits(told)]
    assert found == expected
