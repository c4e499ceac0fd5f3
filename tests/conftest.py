"""Every async test runs on asyncio, on asyncio with uvloop, and on trio."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import blockbuster
import hypothesis
import pytest
from support.dealt_rows import dealt_to_others
from support.drivers import LOOPS, Driver, drivers_for

from headwater.auth.secret import PROXY_SECRETS

LONGEST_NAME = 200

# How fast an example is tells of the machine.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-driver", action="store_true", help="run the tests that are dealt out on every driver")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes a `driver` also runs through the sync client, which brings a loop of its own."""
    if "anyio_backend" in metafunc.fixturenames:
        metafunc.parametrize("loop_name", drivers_for(metafunc.fixturenames), indirect=True)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long value is told by its size: written out, the bytes of one picture made a name of 100 MB in each process."""
    return f"{argname} of {len(val)}" if isinstance(val, str | bytes) and len(val) > LONGEST_NAME else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if unstable := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"an id that is another in each process: {unstable[0]}")
    if not config.getoption("every_driver"):
        left = dealt_to_others(items)
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=list(left))


@pytest.fixture
def loop_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def anyio_backend(loop_name: str, request: pytest.FixtureRequest) -> Any:
    """The loop; asyncio's has its debug mode, but where a test's thousands of tasks would be mostly that."""
    backend, options = LOOPS.get(loop_name, LOOPS["asyncio"])
    if request.node.get_closest_marker("crowd"):
        options = {name: value for name, value in options.items() if name != "debug"}
    return backend, options


@pytest.fixture
def driver(loop_name: str) -> Driver:
    return Driver(loop_name)


@pytest.fixture(scope="session", autouse=True)
def coverage_is_of_this_process() -> None:
    """What tests start is not measured: it would be slow, and say so where nothing may be said."""
    os.environ.pop("COVERAGE_PROCESS_START", None)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_reaches_what_tests_start() -> None:
    """A shell has what it runs in the background ignore Ctrl-C, and so would every program that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_an_event_loop() -> Iterator[None]:
    """A call of the library's that would hold asyncio's loop up raises; the emulator's loop is its own affair."""
    watch = blockbuster.BlockBuster("headwater", excluded_modules=["headwater.emulator"])
    for name, function in watch.functions.items():
        function.can_block_in("headwater/blocking/portal.py", "call")  # a sync client blocks whoever calls it
        if name.startswith("threading.Lock."):
            function.can_block_predicate = waits_for_a_moment
    watch.activate()
    yield
    watch.deactivate()


def waits_for_a_moment(lock: Any, blocking: bool = True, timeout: float = -1) -> bool:
    """Whether taking the lock holds nobody up: another thread gives it back at once.

    What measures coverage takes such locks inside any function, of the library's too, and to raise there would break
    what it has just entered. A lock that is held while somebody works is still held after a second.
    """
    if not blocking or timeout == 0:
        return True
    give_up = time.monotonic() + 1
    while lock.locked() and time.monotonic() < give_up:
        time.sleep(0)
    return not lock.locked()


@pytest.fixture(autouse=True)
def no_ambient_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the credentials, proxies or settings of the machine that it runs on."""
    for name in list(os.environ):
        upper = name.upper()
        if upper.endswith(("_API_KEY", "_PROXY", "_TOKEN", "FAL_KEY")) or upper.startswith(("HF_", "HUGGING_FACE")):
            monkeypatch.delenv(name)
    monkeypatch.delenv("HEADWATER_PROVIDER", raising=False)
    monkeypatch.delenv("HEADWATER_LOG", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.getbasetemp() / "no-hugging-face-home"))


@pytest.fixture(autouse=True)
def no_proxy_is_remembered() -> Iterator[None]:
    """A process masks the passwords of all proxies that it was told of, and would in what another test reads."""
    before = set(PROXY_SECRETS)
    yield
    for proxy in PROXY_SECRETS.keys() - before:
        del PROXY_SECRETS[proxy]


def pytest_collection_finish() -> None:
    """What is there before the first test is nobody's garbage."""
    gc.collect()


@pytest.fixture(autouse=True)
def nothing_is_left_for_the_collector() -> Iterator[None]:
    """What a test drops is collected in that test, so that a warning of it fails the right one.

    What was there before the test is not looked at: going through all of it would cost more than most tests. What the
    test before still held at its end, its arguments and its errors, is collected first.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_at_the_end() -> Iterator[None]:
    """What outlived the test that made it, as a module's server does, is collected as well."""
    yield
    gc.unfreeze()
    gc.collect()
