"""The list of stages: what they are, what a run of them does, what one would do."""
