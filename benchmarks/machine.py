"""Cores, limits, versions and memory of this machine and process. Refuses to start anything."""

import os
import platform
import resource
import ssl
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}
"""The event loops, as `anyio.run` takes them."""
PACKAGES = (
    "headwater",
    "anyio",
    "trio",
    "uvloop",
    "httptools",
    "msgspec",
    "numpy",
    "aiohttp",
    "httpx",
    "httpx2",
    "huggingface_hub",
    "openai",
    "anthropic",
    "mcp",
    "pydantic",
)


def raise_file_limit() -> None:
    """Thousands of sockets need more than the usual soft limit of 1,024 files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cores() -> tuple[int | None, int | None]:
    """The client's core and the server's: the same on a machine of one, None where pinning is unknown."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def pin(core: int | None) -> None:
    """Keep this process, and the threads that it starts, on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def peak_memory() -> float:
    """Peak resident memory of this process in MiB.

    `ru_maxrss` of a child starts at its parent's peak on Linux, so the kernel's own mark is preferred.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def resident_memory() -> int:
    """Resident memory of this process now, in bytes; where the kernel does not say, its peak."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return int(peak_memory() * 1024 * 1024)


def description() -> dict[str, str]:
    """Python, system, processor and the versions of all packages that take part."""
    facts = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "openssl": ssl.OPENSSL_VERSION.split()[1],
    }
    return facts | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        pass
    loaded = sys.modules.get(package) or _import(package)
    return str(getattr(loaded, "__version__", "not installed"))


def _import(package: str) -> object:
    try:
        return __import__(package)
    except ImportError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
