"""Who may call: keys and their masking, where they come from, and where the header that carries them is attached."""
