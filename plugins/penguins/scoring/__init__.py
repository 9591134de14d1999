"""Batch scoring: the rows of a source with their predictions by the version in Production, in a table."""
