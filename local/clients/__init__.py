"""Clients of the stack's own HTTP interfaces; they know base URLs and credentials, not how the stack is run."""
