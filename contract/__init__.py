"""The format in which the pipeline hands a model version to the service.

Both planes import this package; it imports neither of them.
"""
