"""Values for the variables that `.env.example` leaves empty."""

import base64
import os
import secrets

from ops.ed25519 import PRIVATE_PREFIX

# JupyterLab's user if root runs this command: containers don't run as root.
_IMAGE_USER = 1000


def generate(name: str) -> str:
    """Return a value for the variable: a user name or number, or a new random secret."""
    if name in ("LAB_UID", "LAB_GID"):
        own = os.getuid() if name == "LAB_UID" else os.getgid()
        return str(own if os.getuid() else _IMAGE_USER)
    if name == "MINIO_ROOT_USER":
        return "penguins"
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if name == "PENGUINS_SIGNING_KEY":
        return PRIVATE_PREFIX + secrets.token_hex(32)
    if name == "AIRFLOW_JWT_SECRET":
        return secrets.token_hex(32)  # 64 bytes: HMAC-SHA-512 wants as many as its digest has
    # A hexadecimal token needs no quoting in a URL, a shell or a config file, and a double click selects all of it.
    return secrets.token_hex(16)
