"""The names under which the service may be asked."""

import re
from functools import lru_cache
from ipaddress import ip_address

from serving.settings import Settings

_HOST = re.compile(rb"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::\d*)?", re.IGNORECASE)


class Hosts:
    """Tells the service's own names from foreign ones.

    A page of a foreign name that leads to this machine (DNS rebinding) could read the service through a browser, which
    always sends that name. Addresses in numbers are accepted, because no name leads to them.
    """

    def __init__(self, settings: Settings) -> None:
        names = settings.allowed_hosts.replace(",", " ").lower().encode().split()
        self._names = {b"localhost", b"127.0.0.1", *names}
        self._any = b"*" in names
        self.accept = lru_cache(maxsize=64)(self._accept)
        """Return whether the service may be asked under the Host in a header; clients before HTTP/1.1 send none."""

    def _accept(self, header: bytes) -> bool:
        if self._any or not header:
            return True
        match = _HOST.fullmatch(header)
        if match is None:
            return False
        name = (match[1] or match[2]).lower()
        return name in self._names or _is_address(name.decode("latin-1"))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
