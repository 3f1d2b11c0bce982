"""Stage 7: what a small language model says about each document."""
