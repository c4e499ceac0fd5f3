"""The library's logger, which is asked once a call whether anybody listens."""

from __future__ import annotations

import logging
from typing import Final

LOGGER: Final = logging.getLogger("headwater")
