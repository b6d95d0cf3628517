"""Excel's Solver finds its settings in hidden names of a sheet, as the course's workbook has them."""

from __future__ import annotations

from ._sheet import Block, Sheet

MOST = 200  # changing cells that Excel's own Solver takes

# Of the dialogue: minimise (typ 2) by GRG Nonlinear (eng 1), no constraints (num 0), numbers may be negative (neg 2),
# forward derivatives (drv 1). The others are what Excel writes itself.
SETTINGS = {
    "typ": "2",
    "val": "0",
    "eng": "1",
    "num": "0",
    "neg": "2",
    "drv": "1",
    "cvg": "0.0001",
    "est": "1",
    "itr": "2147483647",
    "mip": "2147483647",
    "mni": "30",
    "mrt": "0.075",
    "msl": "2",
    "nod": "2147483647",
    "nwt": "1",
    "pre": "0.000001",
    "rbv": "1",
    "rlx": "2",
    "rsd": "0",
    "scl": "1",
    "sho": "2",
    "ssz": "100",
    "tim": "2147483647",
    "tol": "0.01",
    "ver": "3",
}


def write_solver(sheet: Sheet, objective: str, changing: list[Block]) -> None:
    """Store: minimise the cell named ``objective`` on this sheet by changing these blocks."""
    cell = next(ref for name, ref in sheet.book.names if name == objective)
    sheet.book.hidden_name(sheet.name, "solver_opt", cell)
    sheet.book.hidden_name(sheet.name, "solver_adj", ",".join(block.ref for block in changing))
    for name, value in SETTINGS.items():
        sheet.book.hidden_name(sheet.name, f"solver_{name}", value)


def solver_note(sheet: str, cells: int) -> str:
    """What to do with the Solver on a sheet, or why not."""
    if cells <= MOST:
        return (
            f"Excel's Solver (Data > Solver > Solve) finds its settings stored: minimise rmse_{sheet} by changing the "
            f"{cells} green and orange cells."
        )
    return (
        f"{cells} green and orange cells are more than the {MOST} that Excel's Solver takes: write the workbook with "
        "fewer factors or a smaller n, or let the sheet als find the minimum."
    )
