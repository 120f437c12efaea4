"""``python -m benchmarks [name …]``: run the benchmarks, or those named, and print a markdown table.

The search runs only where it is named: with an empty cache it takes hours.
"""

import sys
from collections.abc import Callable, Mapping

from benchmarks import dashboard, descent, end_to_end, flat_ask, sampling, search, service, verdicts
from benchmarks.table import Measurement, header, markdown

BENCHMARKS: Mapping[str, Callable[[], list[Measurement]]] = {
    "descent": descent.measure,
    "end-to-end": end_to_end.measure,
    "sampling": sampling.measure,
    "flat-ask": flat_ask.measure,
    "service": service.measure,
    "verdicts": verdicts.measure,
    "dashboard": dashboard.measure,
    "search": search.measure,
}

ALONE = frozenset({"search"})
"""Those that run only where they are named."""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    measurements: list[Measurement] = []
    for name in names or [name for name in BENCHMARKS if name not in ALONE]:
        print(f"measuring {name} …", file=sys.stderr)
        measurements += BENCHMARKS[name]()
    print(header())
    print()
    print(markdown(measurements))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
