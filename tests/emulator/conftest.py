"""The emulator's fixture for its own tests.

An installed distribution registers it by its entry point; a source tree that is only on the path does not.
"""

from headwater.emulator.fixtures import headwater_emulator as headwater_emulator
