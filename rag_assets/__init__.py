"""Document question answering as a Dagster dataflow."""
