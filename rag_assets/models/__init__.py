"""Models: which serves which role, its weights, its engine, its clients, its exact token counts."""
