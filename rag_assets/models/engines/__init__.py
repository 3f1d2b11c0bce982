"""Engines: start vLLM processes, watch them, find them."""
