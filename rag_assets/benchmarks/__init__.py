"""``rag bench``: what the stages cost and how well they do it, beside the libraries they use."""
