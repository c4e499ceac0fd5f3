"""Tests whose rows prove what is the same on every driver: each row runs on one, and the next row on the next.

A test with `pytest.mark.dealt` has many rows about what comes before or after the event loop, such as how a body is
read. That the way through the loop is sound takes no four runs of each row. A row that stands alone runs on all
drivers, and so do all rows with `--every-driver`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from support.drivers import drivers_for


class Place(NamedTuple):
    """A test's name, its row, and the driver that this is for, of which there are."""

    test: str
    row: tuple[tuple[str, int], ...]
    driver: str
    drivers: list[str]


def dealt_to_others(items: list[pytest.Item]) -> set[pytest.Item]:
    """What is not to run, because another driver has the row."""
    places = {item: place for item in items if (place := place_of(item)) is not None}
    turns: dict[str, dict[tuple[tuple[str, int], ...], int]] = {}
    for place in places.values():
        rows = turns.setdefault(place.test, {})
        rows.setdefault(place.row, len(rows))
    return {item for item, place in places.items() if place.driver not in takers(place, turns[place.test])}


def takers(place: Place, rows: dict[tuple[tuple[str, int], ...], int]) -> list[str]:
    turn, number = rows[place.row], len(place.drivers)
    # The second addend: else four labels in each of three dialects would always meet the same four drivers.
    return [place.drivers[(turn + turn // number) % number]] if len(rows) > 1 else place.drivers


def place_of(item: pytest.Item) -> Place | None:
    """Where a test stands that is dealt out; None for any other."""
    callspec: Any = getattr(item, "callspec", None)
    if callspec is None or "loop_name" not in callspec.params or item.get_closest_marker("dealt") is None:
        return None
    # The drivers share the values of a row; equal ones of two rows are rarely the same object, and do no harm.
    row = tuple((name, id(value)) for name, value in callspec.params.items() if name != "loop_name")
    driver: str = callspec.params["loop_name"]
    return Place(item.nodeid.partition("[")[0], row, driver, drivers_for(getattr(item, "fixturenames", ())))
