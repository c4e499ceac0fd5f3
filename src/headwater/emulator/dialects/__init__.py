"""How the emulator answers in each provider's dialect."""
