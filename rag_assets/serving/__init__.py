"""Serving: the live index in memory, the answerer process, hot loading, promotion."""
