"""The command ``tuner``. What a command needs is imported when it runs, so that ``--help`` answers at once."""

import os
import sys

import click

from tuner import __version__
from tuner.cli.backup import backup, restore
from tuner.cli.doctor import doctor
from tuner.cli.findings import landscape, pareto, surface
from tuner.cli.health import health
from tuner.cli.migrate import migrate
from tuner.cli.objectives import objectives
from tuner.cli.options import flag_of
from tuner.cli.range_test import range_test, stability
from tuner.cli.serve import serve
from tuner.cli.study import study
from tuner.cli.token import token
from tuner.cli.tune import tune
from tuner.cli.worker import worker
from tuner.errors import FieldError, InvalidInput, TunerError

# The last bits of a BLAS product depend on how many threads share it, and descents are too small to gain from more:
# parallel work is more workers. NumPy reads this when it is first imported, which is after this line.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

REFUSED, FAILED = 2, 1
"""Exit statuses: the input cannot be; it can, but did not work out."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def commands() -> None:
    """Find the learning rate and the number of steps for gradient descent."""


_RUNNING = (serve, worker, migrate, tune)
_LOOKING = (range_test, stability, study, objectives)
_OPERATING = (token, health, doctor, backup, restore)

for command in (*_RUNNING, *_LOOKING, *_OPERATING):
    commands.add_command(command)

for command in (pareto, surface, landscape):
    study.add_command(command)


def _by_flag(error: TunerError) -> TunerError:
    """The same error, with settings named by their flags."""
    if not isinstance(error, InvalidInput):
        return error
    return InvalidInput(*(FieldError(flag_of(problem.field), problem.message) for problem in error.fields))


def main() -> None:
    """Run the command; what goes wrong on purpose is one line on stderr."""
    try:
        commands(prog_name="tuner")
    except TunerError as error:
        click.echo(f"tuner: {' '.join(str(_by_flag(error)).split())}", err=True)
        sys.exit(REFUSED if isinstance(error, InvalidInput) else FAILED)
