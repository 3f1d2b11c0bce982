"""Stage 2: from bytes to clean text with structure, or to a reason why there is none."""
