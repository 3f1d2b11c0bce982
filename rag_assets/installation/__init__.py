"""What stands outside the dataflow: engines from the package's own lock, and a new home."""
