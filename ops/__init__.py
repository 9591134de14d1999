"""What is done on the host for the stack in containers: `python -m ops env`, `python -m ops doctor`.

Only the standard library: both must work before anything is installed.
"""
