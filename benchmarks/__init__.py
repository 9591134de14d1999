"""Measurements against what a user would do instead. Each runs both sides in one process run, in alternation."""
