"""Answering: retrieval, selection, budget, routing, generation, citations, abstention."""
