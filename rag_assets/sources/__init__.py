"""Stage 1: what exists at a source now."""
