"""The shipper: brings the segments of the prediction log from the spool into PostgreSQL, each exactly once.

A program of its own: the service holds no credentials of a database, and this program none of the registry.
"""
