"""Stage 5: one unit vector a chunk."""
