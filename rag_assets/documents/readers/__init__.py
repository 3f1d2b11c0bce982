"""Readers: from a file's bytes to blocks of text; one module a format family."""
