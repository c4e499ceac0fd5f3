"""How much one provider may be sent now: concurrency, rates, pauses, and whose turn it is."""
