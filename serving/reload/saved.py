"""The file `release.json` beside the files of a copy."""

import logging
from typing import Self

from pydantic import BaseModel, ConfigDict

from contract.signatures import TrustedKeys
from serving.inference.model import Release
from serving.inference.signed import signed_release
from serving.registry.responses import ModelVersion

logger = logging.getLogger(__name__)


class SavedRelease(BaseModel):
    """A release, as it is written to disk; without a signature if that was before there were any."""

    model_config = ConfigDict(strict=True)

    version: ModelVersion
    digests: dict[str, str]
    signature: str | None = None

    @classmethod
    def of(cls, release: Release) -> Self:
        """Return what is to be written."""
        return cls(version=release.version, digests=dict(release.digests), signature=release.signature)

    def release(self, trusted: TrustedKeys) -> Release:
        """Return the release, after its signature was verified again.

        Raises:
            RefusedError: the signature isn't that of a trusted key.
        """
        if self.signature is not None:
            return signed_release(self.version, self.signature, trusted)
        logger.warning("cache.unsigned version=%s", self.version.version)
        return Release(self.version, self.digests, None)
