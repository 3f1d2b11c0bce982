"""Weights: fetch them, verify them, convert them."""
