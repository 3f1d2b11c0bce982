"""Stage 3: the heading tree of each document."""
