"""Stage 2: bytes to normalised text with structure, or to a reason why not."""
