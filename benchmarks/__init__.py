"""Speed and memory, measured against what one would write by hand: ratios of things timed side by side in one run."""
