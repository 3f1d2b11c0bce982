"""All that knows Dagster, Ray, or the processes of this machine."""
