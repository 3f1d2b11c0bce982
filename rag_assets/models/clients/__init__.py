"""Clients: talk to a model over HTTP, and count its tokens."""
