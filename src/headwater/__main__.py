"""`python -m headwater` is the command `headwater`; nothing else is here."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
