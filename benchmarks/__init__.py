"""Speed and memory, measured against what one would write by hand: ratios of things timed side by side in one run."""

import os

# As in a worker process: BLAS threads of several processes would fight for the cores. Read when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
