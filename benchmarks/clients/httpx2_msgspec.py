"""httpx2 with msgspec, which openai and huggingface_hub stand on; as httpx is used."""

import httpx2

from benchmarks.clients.httpx_msgspec import Httpx


class Httpx2(Httpx):
    """One `httpx2.AsyncClient`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, httpx2)
