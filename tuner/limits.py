"""How large what comes in may be, in one place; `docs/settings.md` has the same list.

What is beyond a limit is refused whole, with its field named. These hold everywhere, since a client relies on them;
what an operator may want otherwise is a setting (`tuner/settings.py`).
"""

LONGEST_NAME = 100
"""characters of a name: of a study, parameter, metric, objective, sampler, pruner"""

LONGEST_TOKEN_NAME = 64
"""characters of a token's name"""

LONGEST_WORKER_NAME = 200
"""characters of a worker's name"""

LONGEST_TAG = 64
"""characters of a tag"""

MOST_TAGS = 50
"""tags of a study"""

LONGEST_NOTES = 100_000
"""characters of a study's notes"""

LONGEST_REASON = 10_000
"""characters of the reason why a trial failed or was pruned"""

LONGEST_KEY = 255
"""characters of an idempotency key"""

MOST_PARAMETERS = 100
"""parameters in a search space"""

MOST_CHOICES = 1_000
"""choices of a parameter"""

LONGEST_CHOICE = 500
"""characters of a choice"""

# A range's width and its logarithm stay ordinary numbers.
LARGEST_FLOAT = 1e18
"""either end of a range of real numbers, and seconds of a budget"""

# Integers beyond it lose digits in JSON and in a float64, which is what samplers compute in.
LARGEST_INTEGER = 2**53 - 1
"""either end of a range of whole numbers, a seed, and what a budget counts"""

LARGEST_RATE = 1e12
"""a learning rate that the service descends at"""

LARGEST_STEPS = 1_000_000
"""steps of a trial that the service runs"""

# Thousands of asks of a thousand such trials still add up in 64 bits.
LARGEST_CLIENT_STEPS = 10**12
"""steps of a trial that a training client runs"""

LARGEST_TEST_STEPS = 10_000
"""steps of a range test, and points of one that a client submits"""

LARGEST_BATCH = 1_000
"""trials in one ask or tell"""

LONGEST_LEASE = 86_400
"""seconds of a lease"""

MOST_POINTS = 100_000
"""points in one report, over all its columns"""

MOST_METRICS = 100
"""metrics in one report or result"""

LARGEST_PAGE = 1_000
"""studies or trials on a page of a list"""

LARGEST_TEST_PAGE = 100
"""range tests on a page of a list"""

LARGEST_CURVE = 100_000
"""points of a curve in one answer"""

MOST_PATHS = 8
"""descents in one picture of a landscape, and rates in one preview"""

LARGEST_PREVIEW = 2_000
"""steps of a preview"""

LARGEST_GRID = 101
"""points along each axis of a landscape"""

DEEPEST = 50
"""levels of nesting in a JSON document"""

# Whatever is longer is beyond a double.
LONGEST_INTEGER = 300
"""digits of a whole number in a JSON document"""
