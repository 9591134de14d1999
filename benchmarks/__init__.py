"""Measurements against the alternatives of a user. Each runs all sides in turn within one run."""
