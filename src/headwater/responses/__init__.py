"""What a server's answer means: refusals, hints to wait, rate limits, whole results."""
