"""A contract file to spoil."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contract.odcs import ContractError, read_text
from contract.schema import DataContract
from local.settings import REPO

WINE = """\
apiVersion: v3.2.0
kind: DataContract
id: wine
name: wine
version: 1.0.0
schema:
  - name: wine
    properties:
      - name: cultivar
        logicalType: string
        required: true
        enum:
          - value: Barolo
          - value: Grignolino
        customProperties:
          - property: role
            value: target
      - name: od280/od315 "%" of 🍷
        logicalType: number
        logicalTypeOptions:
          minimum: 0
          maximum: 9
        examples: [1.5]
        customProperties:
          - property: unit
            value: g
      - name: region
        logicalType: integer
        enum:
          - value: 1
          - value: -2
      - name: organic
        logicalType: boolean
        required: true
      - name: bottled
        logicalType: date
        customProperties:
          - property: role
            value: time
customProperties:
  - property: training
    value:
      registeredModel: wine
      experiment: wine
      minAccuracy: 0.5
  - property: reading
    value:
      nullValues: ["", "?"]
"""

Spoil = Callable[..., list[str]]


@pytest.fixture
def wine() -> DataContract:
    """The contract without mistakes."""
    return read_text(WINE.encode(), "wine.yaml", "wine")


@pytest.fixture
def spoil() -> Spoil:
    """Return the messages about the file in which texts are replaced by others, a pair after the other."""

    def messages(*pairs: tuple[str, str]) -> list[str]:
        text = WINE
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        with pytest.raises(ContractError) as caught:
            read_text(text.encode("utf-8", "surrogatepass"), "wine.yaml", "wine")
        return str(caught.value).splitlines()

    return messages


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the contracts `penguins` and `wine`."""
    monkeypatch.setenv("PENGUINS_CONTRACTS_DIR", str(tmp_path))
    (tmp_path / "penguins.yaml").write_bytes((REPO / "contracts/penguins.yaml").read_bytes())
    (tmp_path / "wine.yaml").write_text(WINE)
    return tmp_path
