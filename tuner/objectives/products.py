"""Matrix products whose rows do not feel each other.

The last bits of a BLAS product depend on its shape: a row comes out differently among 256 than alone. A trial must
not depend on the batch it happens to be run in, so rows are multiplied in blocks of one fixed height, the last block
filled up with zeros. That is nearly as fast as one product, and several times faster than a product per row.
"""

import numpy as np

from tuner.objectives.protocol import Array

_HEIGHT = 8


def rowwise_product(rows: Array, matrix: Array) -> Array:
    """rows · matrix, (B, K) by (K, M) to (B, M): row i of it is a function of row i of ``rows``, to the last bit."""
    count, width = rows.shape
    blocks = -(-count // _HEIGHT)
    if count % _HEIGHT:
        filled = np.zeros((blocks * _HEIGHT, width), rows.dtype)
        filled[:count] = rows
        rows = filled
    product = rows.reshape(blocks, _HEIGHT, width) @ matrix
    return product.reshape(blocks * _HEIGHT, matrix.shape[1])[:count]
