"""Clients of the stack's HTTP interfaces. They use base URLs and credentials only, so they fit any deployment."""
