"""``rag``: the command line, a module a subject."""
