"""Who may read what: ``access.yaml``, its keys, and the filter of the index that they give."""
