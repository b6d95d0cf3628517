"""The command line: ``dotbias demo | data | fit | evaluate | recommend | predict | similar …``.

Tables for people, ``--json`` for programs: the JSON stands alone on stdout, everything else goes to stderr. Exit codes:
0 done, 1 an unexpected fault, 2 a wrong command or setting, 3 data that cannot be used or an unknown id, 4 a model or
a file that cannot be read or written, 5 a download that failed, 6 an extra that is not installed, 7 a refit that was
refused, 130 interrupted (Ctrl-C or SIGTERM).

Commands import what they need when they run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Annotated

import typer

from ..errors import (
    DataError,
    DotbiasError,
    DownloadError,
    FileError,
    MissingExtraError,
    ModelFileError,
    UnknownIdError,
)
from . import (
    compare,
    data,
    demo,
    doctor,
    export,
    fit,
    lr_find,
    plan,
    plot,
    reasons,
    recommend,
    refit,
    search,
    serve,
    sheet,
    update,
    use,
)
from ._options import as_option
from ._running import term_as_ctrl_c
from ._show import Page, safe_streams, visible

EXIT_CODES = (
    (DataError, 3),
    (UnknownIdError, 3),
    (ModelFileError, 4),
    (FileError, 4),
    (DownloadError, 5),
    (MissingExtraError, 6),
    (DotbiasError, 2),
)
TRACEBACK = "DOTBIAS_TRACEBACK"

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
app.command("compare")(compare.compare)
app.command("search")(search.search)
app.command("evaluate")(use.evaluate)
app.command("recommend")(recommend.recommend)
app.command("predict")(recommend.predict)
app.command("similar")(use.similar)
app.command("explain")(reasons.explain)
app.command("ask")(reasons.ask)
app.command("refit")(refit.refit)
app.command("update")(update.update)
app.command("plan")(plan.plan)
app.command("plot")(plot.plot)
app.command("export")(export.export)
app.command("serve")(serve.serve)
app.command("lr-find")(lr_find.lr_find)
app.command("sheet")(sheet.sheet)
app.command("doctor")(doctor.doctor)


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        Page().say(f"dotbias {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The ``dotbias`` program: an error is a message and an exit code, never a traceback."""
    safe_streams()
    try:
        with term_as_ctrl_c():
            app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as e:  # polars' PanicException is no Exception
        sys.exit(_explain(e))


def _explain(e: BaseException) -> int:
    """Say what went wrong, and return the exit code."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(e)
    page = Page(err=True)
    if isinstance(e, DotbiasError):
        page.say(f"dotbias: {e.what}")
        hint = e.hint_as(as_option)
        if hint:
            page.say(f"Hint: {hint}")
        return next(code for kind, code in EXIT_CODES if isinstance(e, kind))
    if isinstance(e, MemoryError):
        page.say("dotbias: there is not enough memory for this.")
        return 1
    if isinstance(e, OSError) and e.filename is not None:
        page.say(f"dotbias: {visible(e.filename)}: {e.strerror or type(e).__name__}.")
        return 4
    if isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        page.say(f"dotbias: {e.strerror}.")
        return 4
    page.say(f"dotbias: {type(e).__name__}: {visible(e)}")
    page.say(f"This is a fault of dotbias, not yours. To see where, set {TRACEBACK}=1 and run it again.")
    return 1
