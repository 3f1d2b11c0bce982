"""Stage 6: build the candidate index, read a pinned generation of it."""
