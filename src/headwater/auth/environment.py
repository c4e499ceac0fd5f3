"""The keys that nobody passed: environment variables, and the token that a Hugging Face login saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .secret import Masked, Secret

if TYPE_CHECKING:
    from pathlib import Path


def _variable(environ: Mapping[str, str] | None, name: str) -> str:
    # No frame that an error passes through has the environment among its locals: it is full of keys.
    return (os.environ if environ is None else environ).get(name, "")


def ambient(variables: tuple[str, ...], environ: Mapping[str, str] | None = None) -> Secret | None:
    """The first of these variables of the environment that is set."""
    for name in variables:
        if _variable(environ, name).strip():
            return Secret(_variable(environ, name), what=name)
    return None


def hugging_face_token(environ: Mapping[str, str] | None = None) -> Secret | None:
    """The ambient Hugging Face token: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the file that its login writes.

    https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    """
    found = ambient(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), environ)
    if found or _variable(environ, "HF_HUB_DISABLE_IMPLICIT_TOKEN").upper() in {"1", "ON", "YES", "TRUE"}:
        return found
    try:
        saved = Masked(_token_path(environ).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError, RuntimeError):
        return None
    return Secret(saved, what="saved Hugging Face token") if saved else None


def _token_path(environ: Mapping[str, str] | None) -> Path:
    from pathlib import Path

    if named := _variable(environ, "HF_TOKEN_PATH"):
        return Path(named).expanduser()
    cache = _variable(environ, "XDG_CACHE_HOME") or "~/.cache"
    return Path(_variable(environ, "HF_HOME") or f"{cache}/huggingface").expanduser() / "token"
