"""The contract that a version was registered with, from its verified files."""

import json
from collections.abc import Mapping

import yaml  # type: ignore[import-untyped]

from contract.digests import MANIFEST_FILE, MLMODEL_FILE
from contract.manifest import Contract, Manifest
from penguins.errors import UserError


def read_contract(files: Mapping[str, bytes]) -> Contract | None:
    """Read the contract from the manifest or, without one, from the file MLmodel; None if that has none.

    Args:
        files: contents by path, as `model_versions.files` returns them.

    Raises:
        UserError: it can't be read.
    """
    try:
        if MANIFEST_FILE in files:
            return Manifest.model_validate_json(files[MANIFEST_FILE]).contract
        metadata = yaml.safe_load(files[MLMODEL_FILE]).get("metadata") or {}
        return Contract.model_validate_json(json.dumps(metadata["contract"])) if "contract" in metadata else None
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise UserError(f"its contract can't be read: {type(error).__name__}: {str(error).splitlines()[0]}") from error
