"""Predict in blocks of one size, so that a row's answer doesn't depend on the rows beside it."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating]

BLOCK_ROWS: Final = 64
"""Larger blocks would make a single row slower, smaller ones a table."""


Run = Callable[[Rows], tuple[Labels, Probabilities]]


def in_blocks(run: Run, rows: Rows) -> tuple[Labels, Probabilities]:
    """Return what `run` answers to rows [n, features], n > 0, when it is always given `BLOCK_ROWS` of them.

    Products of matrices are computed in another order for one row than for several, and for few than for many: the last
    bits differ. The last block is filled up with its first row: zeros lead to
    probabilities so small that the processor is slow.
    """
    if len(rows) <= BLOCK_ROWS:
        return _in_block(run, rows)
    parts = [_in_block(run, rows[start : start + BLOCK_ROWS]) for start in range(0, len(rows), BLOCK_ROWS)]
    labels, probabilities = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(probabilities)


def _in_block(run: Run, rows: Rows) -> tuple[Labels, Probabilities]:
    number = len(rows)
    if number == BLOCK_ROWS:
        return run(rows)
    block = np.empty((BLOCK_ROWS, rows.shape[1]), dtype=rows.dtype)
    block[:number], block[number:] = rows, rows[0]
    labels, probabilities = run(block)
    return labels[:number], probabilities[:number]
