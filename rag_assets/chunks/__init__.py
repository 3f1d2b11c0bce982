"""Stage 4: sections cut to what the embedding model can read."""
