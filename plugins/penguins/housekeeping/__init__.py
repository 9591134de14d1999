"""Keeping house: what is old and named by nothing goes, and the disk is watched."""
