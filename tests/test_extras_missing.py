"""What needs a package that is not installed names the extra that brings it."""

from __future__ import annotations

import subprocess
import sys

import pytest

MISSING = """
import sys
for package in {packages!r}.split():
    sys.modules[package] = None
try:
    {code}
except ImportError as error:
    print(error)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("packages", "code", "extra"),
    [
        ("starlette", "import headwater.integrations.starlette", "web"),
        ("starlette", "import headwater.examples.web_backend", "web"),
        ("uvicorn", "from headwater.examples import web_backend as w; w.serve(None, 0, on_trio=False)", "web"),
        ("hypercorn", "from headwater.examples import web_backend as w; w.serve(None, 0, on_trio=True)", "hypercorn"),
        ("numpy", "import headwater.integrations.ray", "ray"),
        ("ray", "import headwater.examples.ray_batch", "ray"),
        ("starlette", "from headwater import emulator; emulator.running()", "emulator"),
        ("uvicorn", "from headwater import emulator; emulator.running()", "emulator"),
        ("mcp", "from headwater import mcp_tools; mcp_tools(['a']).__enter__()", "mcp"),
        ("h2", "from headwater import InferenceClient; InferenceClient(http2=True)", "http2"),
        ("json_repair", "from headwater.schema.repair import mended; mended('{')", "repair"),
        ("jsonschema", "from headwater.schema.given_schema import GivenSchema; GivenSchema({}, 'a')", "cli"),
        ("opentelemetry", "from headwater.telemetry import OpenTelemetryObserver", "otel"),
        ("matplotlib", "from headwater.batch.report.make import make; make('/dev/null')", "report"),
    ],
)
def test_a_missing_package_names_its_extra(packages: str, code: str, extra: str) -> None:
    program = MISSING.format(packages=packages, code=code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert f'pip install "headwater[{extra}]"' in done.stdout, done


def test_another_missing_package_is_told_as_it_is() -> None:
    from headwater.integrations import require_extra

    with pytest.raises(ModuleNotFoundError) as raised, require_extra("web", "starlette"):
        raise ModuleNotFoundError("No module named 'other'", name="other")
    assert "pip install" not in str(raised.value)
