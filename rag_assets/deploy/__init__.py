"""Deployment beyond one machine: Kubernetes examples, and the arithmetic of a billion documents."""
