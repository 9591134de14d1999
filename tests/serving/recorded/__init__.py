"""Requests to a version of the penguins that was made before there were other contracts, and digests of the answers.

`python -m tests.serving.recorded` prints the digests of the code it is run with.
"""
