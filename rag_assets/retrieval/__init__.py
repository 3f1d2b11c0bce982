"""Retrieval: from a question to the passages worth reading."""
