"""The limits that answers tell of, in every vendor's spelling."""

from __future__ import annotations

import pytest

from headwater.responses.rate_limit import Limit, limits_in

NOW = 1_800_000_000.0

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
    "no reset": ({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}, []),
    "garbage": ({"x-ratelimit-remaining": "nan", "x-ratelimit-reset": "-1", "x-ratelimit": "false"}, []),
    "nothing": ({"content-type": "application/json"}, []),
}


@pytest.mark.parametrize(("headers", "expected"), SPELLINGS.values(), ids=SPELLINGS)
def test_a_spelling(headers: dict[str, str], expected: list[Limit]) -> None:
    assert [limit._replace(reset=round(limit.reset, 6)) for limit in limits_in(headers, lambda: NOW)] == expected
