"""The house's rule: who may import whom, held against the real imports; and what loading costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "dotbias"
ROWS = {  # a module may import, at its top, only from rows below its own; modules of one row in the order given
    0: ["errors", "rng", "progress", "stopping", "files", "checkpoint"],
    1: ["ids", "times", "readers", "ratings"],
    2: ["settings", "split", "features", "datasets"],
    3: [
        *("scorer", "objective", "shares", "feature_vectors", "factors", "item_weights", "trace", "posterior"),
        *("metrics", "schedules", "steps"),
    ],
    4: ["models", "batches", "losses", "module_scorer", "negatives", "optim", "callbacks", "solvers", "baselines"],
    5: ["learner", "gradient", "classifier", "fitters", "cluster"],
    6: ["orders", "evaluation", "interpret", "storage", "recommender", "export"],
    7: ["experiments", "workbook", "web", "plots", "lesson5", "report", "cli", "__main__"],
}
PLACE = {module: (row, k) for row, modules in ROWS.items() for k, module in enumerate(modules)}
NEEDS_TORCH = {
    "classifier",
    "models",
    "module_scorer",
    "batches",
    "negatives",
    "losses",
    "optim",
    "callbacks",
    "learner",
    "gradient",
    "lesson5",
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path):
    """(module or top-level room imported, whether at the top of the file) for every import of dotbias or torch."""
    tree = ast.parse(path.read_text())
    depth = len(path.relative_to(PACKAGE).parts) - 1
    typing_only = {
        id(n)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for n in ast.walk(branch)
    }
    inner = {
        id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        top = id(node) not in inner
        if isinstance(node, ast.ImportFrom):
            if node.level == depth + 1:  # relative to the package itself
                names = [node.module.split(".")[0]] if node.module else [a.name for a in node.names]
                yield from ((name, top) for name in names)
            elif node.level == 0:
                yield node.module.split(".")[0], top
        elif isinstance(node, ast.Import):
            yield from ((a.name.split(".")[0], top) for a in node.names)


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downward_only(path):
    room = room_of(path)
    assert room in PLACE, f"{room} has no place in ROWS: say where it is at home"
    for name, top in imports(path):
        if name in PLACE and name != room:
            if room.startswith("cli") or not top:  # the command line imports late, whatever it needs
                assert PLACE[name][0] <= 7
                allowed = PLACE[name][0] < 5 or PLACE[room][0] >= 5 or name in ("storage",)
                assert allowed, f"{room} imports {name}, above it"
            else:
                assert PLACE[name] < PLACE[room], f"{room} imports {name}: not downward"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_torch_only_where_it_is_at_home(path):
    room = room_of(path)
    for name, top in imports(path):
        if name == "torch" and top:
            assert room in NEEDS_TORCH
        if PLACE[room][0] == 6:
            assert name not in NEEDS_TORCH, f"{room} serves, and must not meet {name}"
        if room == "solvers":
            assert name not in NEEDS_TORCH | {"torch"}
        if room in NEEDS_TORCH and room != "lesson5":
            assert name != "solvers"


def loaded(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after running ``code``."""
    script = f"import sys\n{code}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_importing_dotbias_loads_almost_nothing():
    assert not loaded("import dotbias") & {"torch", "numba", "scipy", "polars", "numpy", "pandas"}


def test_recommending_loads_neither_torch_nor_numba(tmp_path):
    make = f"""
from dotbias import Recommender, planted
from dotbias.baselines import bias
train = planted(50, 40, n_ratings=500, rng=0).ratings
Recommender(bias(train), train).save({str(tmp_path / "model")!r})
"""
    assert not loaded(make) & {"torch", "numba"}
    use = f"""
from dotbias import Recommender
door = Recommender.load({str(tmp_path / "model")!r})
door.recommend(1, 3), door.predict(1, 2)
"""
    assert not loaded(use) & {"torch", "numba", "scipy", "pandas", "matplotlib"}


def test_every_public_name_is_there():
    import dotbias

    for name in dotbias.__all__:
        assert getattr(dotbias, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dotbias.nonsense


def test_star_brings_what_is_public_and_without_torch_what_needs_none():
    code = "import sys\nsys.modules['torch'] = None\nfrom dotbias import *\nassert Ratings and sgd\nimport dotbias"
    assert "torch" not in loaded(f"{code}\nassert 'Learner' not in dotbias.__all__\ndel sys.modules['torch']")
    import dotbias

    assert "Learner" in dotbias.__all__
    assert set(dotbias.__all__) <= set(dir(dotbias))
    assert all(not name.startswith("_") or name.startswith("__") for name in dir(dotbias))
    assert {"annotations", "import_module", "Any"}.isdisjoint(dir(dotbias))


def test_type_checkers_see_what_is_public():
    """The names imported for type checkers are those that __getattr__ finds, at home in the same modules."""
    import dotbias

    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    typed = {a.asname: n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level for a in n.names}
    assert typed == dotbias._HOME_OF


def imported_files(path: Path):
    """The files of the package that a file imports at its top, those for type checkers alone included."""
    tree = ast.parse(path.read_text())
    late = {
        id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in late:
            folder = path.parents[node.level - 1]
            module = folder.joinpath(*(node.module or "").split(".")) if node.module else folder
            names = [module / a.name for a in node.names] if module.is_dir() else []
            found = [m for m in names if m.is_dir() or m.with_suffix(".py").is_file()] if names else [module]
            for m in found or [module]:
                yield m / "__init__.py" if m.is_dir() else m.with_suffix(".py")


def test_files_around_the_data_import_each_other_in_no_circle():
    """Rows 0 to 2; above them callbacks and learner, and two files of the Gibbs sampler, still name each other."""
    done: set[Path] = set()

    def walk(path: Path, trail: tuple[Path, ...]) -> None:
        names = [str(p.relative_to(PACKAGE)) for p in (*trail, path)]
        assert path not in trail, f"a circle: {' -> '.join(names)}"
        if path not in done:
            for other in imported_files(path):
                walk(other, (*trail, path))
            done.add(path)

    data = [path for path in FILES if PLACE[room_of(path)][0] <= 2]
    for path in data:
        walk(path, ())
    assert set(data) <= done


def test_a_class_name_means_one_thing():
    """No two classes share a name; but for the course's own, which lesson5 must call as the course did."""
    homes = {}
    for path in FILES:
        if room_of(path) != "lesson5":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    assert len(homes) > 100
    assert not {name: files for name, files in homes.items() if len(files) > 1}
