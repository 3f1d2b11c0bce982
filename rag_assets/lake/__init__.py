"""Ground: identity, schemas, Lance tables by partition, the one delta mechanism, generations."""
