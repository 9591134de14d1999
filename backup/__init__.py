"""Backups of a stack: one archive with its databases, objects, prediction log, contracts and, if wanted, its keys.

It knows a stack by its addresses and folders only (`backup.stack`), so it is the same however the stack runs.
"""
