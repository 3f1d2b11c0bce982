"""Stage 2, across all partitions: exact and near duplicates, one canonical per group."""
