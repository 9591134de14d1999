"""Commands on the host for the stack in containers: `python -m ops env`, `python -m ops doctor`.

Both use only the standard library, to work before any package is installed.
"""
