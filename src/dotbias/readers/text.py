"""Text files: encodings, gzip, separators, headers, lines that are blank or ragged."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ..errors import DataError, SettingError, arg
from ..files import clear_errors
from .opening import open_text

SEPARATORS = ("::", "\t", ",", "|", ";")
LONGEST = 1 << 20  # bytes of a first line
STAND_IN = "\x1f"  # polars splits on one byte: a longer separator is replaced by this one


class TextTable(NamedTuple):
    """A text file that is understood: its separator, header and names.

    Attributes:
        name: what messages call it.
        text: the path where it can be read as it is, else its content in UTF-8.
        separator: one byte.
        header: whether the first line names the columns.
        names: distinct column names.
        skipped: blank lines taken off the top.
        notes: what was found or changed, for people.
    """

    name: str
    text: Path | bytes
    separator: str
    header: bool
    names: list[str]
    skipped: int
    notes: tuple[str, ...]

    def typed(self, chosen: dict[str, str]) -> pl.DataFrame:
        """All columns: numbers Float64 and the time's Int64 where every line allows that, the rest text."""
        kinds = {"rating": pl.Float64, "count": pl.Float64, "time": pl.Int64}
        return self.frame({chosen[role]: kind for role, kind in kinds.items() if role in chosen})

    def frame(self, types: dict[str, Any], *, infer: bool = False) -> pl.DataFrame:
        """All columns, without blank lines; text where not typed or inferred, and throughout where typing fails.

        Raises:
            DataError: for ragged lines, stray quotation marks, or no lines.
        """
        try:
            with clear_errors(Path(self.name), "read"):
                try:
                    table = self._parse(types, infer)
                except pl.exceptions.ComputeError:
                    table = self._parse({}, False)
        except pl.exceptions.NoDataError as e:
            raise DataError(f"{self.name} holds no ratings.", hint="a rating a line is expected.") from e
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as e:
            raise self._misread(e) from e
        return self._without_blanks(table)

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """(the line a record begins on, its fields), header and blank lines included.

        Raises:
            csv.Error: where quoting is broken.
        """
        stream = self.text.open("rb") if isinstance(self.text, Path) else io.BytesIO(self.text)
        quoting = csv.QUOTE_NONE if self.separator == STAND_IN else csv.QUOTE_MINIMAL
        with io.TextIOWrapper(stream, "utf-8-sig", newline="\n") as lines:
            rows = csv.reader(lines, delimiter=self.separator, quoting=quoting, strict=True)
            before = 0
            for fields in rows:
                yield self.skipped + before + 1, fields
                before = rows.line_num

    def where(self, i: int) -> str:
        """The place of the i-th record that is neither header nor blank: "ratings.csv, line 7"."""
        try:
            k = int(i) + self.header
            for line, fields in self.records():
                k -= bool(fields)
                if k < 0:
                    return f"{self.name}, line {line}"
        except csv.Error:
            pass
        return f"{self.name}, rating {int(i) + 1}"

    def _parse(self, types: dict[str, Any], infer: bool) -> pl.DataFrame:
        return pl.read_csv(
            self.text.absolute() if isinstance(self.text, Path) else self.text,
            glob=False,
            separator=self.separator,
            has_header=self.header,
            new_columns=self.names,
            schema_overrides=types if infer else {name: types.get(name, pl.String) for name in self.names},
            infer_schema_length=None if infer else 0,
            quote_char=None if self.separator == STAND_IN else '"',
        )

    def _without_blanks(self, table: pl.DataFrame) -> pl.DataFrame:
        """Drop blank lines; refuse short ones. Polars makes nulls of both, so only nulls at the end call for a look."""
        n = len(self.names)
        if n == 1 or not table[:, -1].null_count():
            return table
        try:
            records = [(line, len(fields), fields[:6]) for line, fields in self.records()]
        except csv.Error as e:
            raise self._misread(e) from e
        del records[: next((k for k, r in enumerate(records) if r[1]), 0) + self.header]
        short = next((r for r in records if 0 < r[1] < n), None)
        if short:
            raise self._ragged(*short)
        blank = [not r[1] for r in records]
        return table.filter(~pl.Series(blank, dtype=pl.Boolean)) if any(blank) else table

    def _ragged(self, line: int, count: int, fields: list[str]) -> DataError:
        return DataError(
            f"{self.name}, line {line}: {count} fields where {len(self.names)} are expected: {fields}.",
            hint=f"quote fields that hold the separator, or name another with {arg('separator')}.",
        )

    def _misread(self, cause: Exception) -> DataError:
        """The line that broke the reader."""
        try:
            for line, fields in self.records():
                if fields and len(fields) != len(self.names):
                    return self._ragged(line, len(fields), fields[:6])
        except csv.Error:
            pass
        line = self._bare_cr()
        if line:
            return DataError(
                f"{self.name}, line {line}: a line that ends with CR alone, where others end with LF.",
                hint="save the file with one kind of line ends (LF).",
            )
        line = self._stray_quote()
        if line:
            return DataError(
                f"{self.name}, line {line}: a stray quotation mark.",
                hint='quote the whole field and double the marks inside: "7"" single".',
            )
        first = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        hint = f"name {arg('separator')}, {arg('header')} or {arg('encoding')}."
        return DataError(f"{self.name} cannot be read: {first}", hint=hint)

    def _bare_cr(self) -> int | None:
        """The first line with a CR inside, of a file whose other lines end with LF."""
        data = self.text.read_bytes() if isinstance(self.text, Path) else self.text
        found = re.search(rb"\r(?!\n|\Z)", data)
        return None if found is None else self.skipped + 1 + data.count(b"\n", 0, found.start())

    def _stray_quote(self) -> int | None:
        """The first line with a quotation mark inside a field, or else with an odd number of them."""
        data = self.text.read_bytes() if isinstance(self.text, Path) else self.text
        sep = re.escape(self.separator.encode())
        stray = re.compile(rb'[^"\r' + sep + rb']"[^"\r' + sep + rb"]")
        lines = [line for line in enumerate(data.split(b"\n"), self.skipped + 1) if b'"' in line[1]]
        inside = next((n for n, line in lines if stray.search(line)), None)
        return inside or next((n for n, line in lines if line.count(b'"') % 2), None)


def open_sheet(
    path: Path,
    *,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    names: Sequence[str] = (),
) -> TextTable:
    """Understand a text file: unpack it, find its encoding, separator and header.

    Args:
        path: the file.
        separator: by default, of ``::`` tab ``,`` ``|`` ``;``, the one that splits the first line most.
        header: by default there is one unless the first line holds a number.
        encoding: by default UTF-8 (UTF-16 by its mark), else Latin-1.
        names: for columns of a file without a header; more are called "column 4" and so on.
    """
    _check_arguments(separator, header, encoding)
    name = "standard input" if str(path) == "-" else path.name
    with clear_errors(path, "read"):
        text, notes = open_text(path, encoding)
        text, first, skipped = _first_line(text, name)
    try:
        separator = separator or max(SEPARATORS, key=lambda s: len(_fields(first, s)))
        fields = _fields(first, separator)
    except csv.Error as e:
        if len(first) > csv.field_size_limit():
            what = f"the first line of {name} has {len(first):,} characters, too many for one field."
            raise DataError(what, hint="does it lack line ends, or a closing quotation mark?") from e
        raise DataError(f"the first line of {name} cannot be read: {e}.", hint="is it a table of ratings?") from e
    _refuse_other_first(first, len(fields), text, name)
    header = not any(_is_number(f) for f in fields) if header is None else header
    if not header:
        fields = [names[k] if k < len(names) else f"column {k}" for k in range(len(fields))]
    distinct = _distinct(fields)
    if distinct != fields:
        again = next(f for f, d in zip(fields, distinct, strict=True) if f != d)
        notes = (*notes, f"{name}: the header names {again!r} more than once; the first one counts.")
    if len(separator.encode()) > 1:
        raw = text.read_bytes() if isinstance(text, Path) else text
        text, separator = raw.replace(separator.encode(), STAND_IN.encode()), STAND_IN
    return TextTable(name, text, separator, header, distinct, skipped, notes)


def _check_arguments(separator: object, header: object, encoding: object) -> None:
    bad = separator is not None and (not isinstance(separator, str) or not separator or set(separator) & set('\n\r"\0'))
    if bad or (isinstance(separator, str) and not separator.isprintable() and separator != "\t"):
        raise SettingError(f"separator is {separator!r}.", hint="such as ',' or '\\t' or '::'.")
    if header is not None and not isinstance(header, bool):
        raise SettingError(f"header is {header!r}.", hint="True, False, or None to recognise it.")
    if encoding is not None and (not isinstance(encoding, str) or not encoding or "\0" in encoding):
        raise SettingError(f"encoding is {encoding!r}.", hint="such as 'utf-8' or 'latin-1'.")


def _first_line(text: Path | bytes, name: str) -> tuple[Path | bytes, str, int]:
    """(the text from its first line that is not blank, that line, how many blank ones stood before it)."""
    stream = text.open("rb") if isinstance(text, Path) else io.BytesIO(text)
    skipped, line = 0, ""
    with stream:
        while raw := stream.readline(LONGEST):
            line = raw.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r\n")
            if line.strip():
                break
            skipped += 1
        rest = raw + stream.read() if skipped else b""
    if not line.strip():
        raise DataError(f"{name} is empty.", hint="a rating a line is expected.")
    if len(raw) == LONGEST:
        hint = "does it lack line ends, or a closing quotation mark?"
        raise DataError(f"the first line of {name} is longer than {LONGEST:,} bytes.", hint=hint)
    if "\r" in line:
        raise DataError(f"{name} ends its lines with CR alone.", hint="save it with line ends of today (LF).")
    if "\0" in line:
        raise DataError(f"{name} is not text.", hint="is it a binary file?")
    return (rest if skipped else text), line, skipped


def _refuse_other_first(first: str, n_fields: int, text: Path | bytes, name: str) -> None:
    """Refuse a first line that is no part of the table: ``sep=;`` as Excel writes it, or a comment.

    A line that begins with ``#`` is a comment where the next line has more fields.
    """
    excel = re.fullmatch(r'"?sep=(.)"?', first.strip("\n"), re.IGNORECASE)
    if excel:
        what = f"the first line of {name} is {first!r}: it names a separator, and no columns."
        raise DataError(what, hint=f"take that line out, and say {arg('separator', excel[1])}.")
    if not first.startswith("#"):
        return
    with text.open("rb") if isinstance(text, Path) else io.BytesIO(text) as stream:
        lines = (line.decode("utf-8", "replace") for line in stream)
        following = next((line for line in lines if line.strip() and not line.lstrip("\ufeff").startswith("#")), "")
    if max(len(_fields(following.rstrip("\r\n"), s)) for s in SEPARATORS) > n_fields:
        what = f"the first line of {name} is a comment: {first[:60]!r}."
        raise DataError(what, hint="take out the lines that begin with '#'.")


def _fields(line: str, separator: str) -> list[str]:
    if len(separator) > 1:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator), [])


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", text, re.IGNORECASE))


def _distinct(names: list[str]) -> list[str]:
    """Names made distinct: the second "x" becomes "x (2)"."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    if len(seen) == len(names):
        return names
    count: dict[str, int] = {}
    out = []
    for name in names:
        count[name] = count.get(name, 0) + 1
        out.append(name if count[name] == 1 else f"{name} ({count[name]})")
    return out if len(set(out)) == len(out) else [f"column {k}" for k in range(len(names))]
