"""Whether a candidate is good enough to go live, and how good the answers are."""
