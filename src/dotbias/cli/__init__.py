"""The command line: ``dotbias demo | data | fit | evaluate | recommend | similar | plot | export | lr-find …``.

Tables for people, ``--json`` for programs: the JSON stands alone on stdout, everything else goes to stderr. Exit codes:
0 done, 1 an unexpected fault, 2 a wrong command or setting, 3 data that cannot be used or an unknown id, 4 a model
that cannot be read or written, 5 a download that failed, 6 an extra that is not installed, 130 interrupted.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys

import typer

from ..errors import DataError, DotbiasError, DownloadError, MissingExtraError, ModelFileError, UnknownIdError
from . import data, demo, doctor, export, fit, plot, sheet, use

EXIT_CODES = (
    (DataError, 3),
    (UnknownIdError, 3),
    (ModelFileError, 4),
    (DownloadError, 5),
    (MissingExtraError, 6),
    (DotbiasError, 2),
)

app = typer.Typer(
    name="dotbias",
    help="Collaborative filtering, exact and explained. Begin with: [bold]dotbias demo[/]",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.add_typer(data.app, name="data")
app.command("fit")(fit.fit)
app.command("evaluate")(use.evaluate)
app.command("recommend")(use.recommend)
app.command("similar")(use.similar)
app.command("plot")(plot.plot)
app.command("export")(export.export)
app.command("lr-find")(fit.lr_find)
app.command("sheet")(sheet.sheet)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """The ``dotbias`` program: a known error is a message and an exit code, never a traceback."""
    try:
        app()
    except DotbiasError as e:
        sys.stderr.write(f"dotbias: {e}\n")
        sys.exit(next(code for kind, code in EXIT_CODES if isinstance(e, kind)))
    except KeyboardInterrupt:
        sys.stderr.write("dotbias: interrupted.\n")
        sys.exit(130)
