"""The rules of docs/architecture.md that a syntax tree can tell: layers, sizes, and where things may be done."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("server", "rest", "tools", "oauth")
LINES_OF_A_FUNCTION = 40
LINES_OF_A_FILE = 300
# Imported only where they are used, which is seldom: each costs every start time, some hundreds of megabytes.
HEAVY = frozenset(
    {
        "torch",
        "transformers",
        "sentence_transformers",
        "huggingface_hub",
        "onnx",
        "onnxruntime.quantization",
        "alembic",
        "opencc",
        "redis",
        "server.index.chroma.client",
        "server.app",  # the parent of worker processes does without it
        "server.web.tracing",
    }
)

# The layer of each module; the longest matching name decides. This is the table of docs/architecture.md.
LAYERS = {
    "server.app": 5, "server.__main__": 5, "server.commands": 5,
    "rest": 4, "tools": 4, "oauth": 4, "server.dashboard": 4,
    "server.shell": 3, "server.web": 3,
    "server.domain": 2,
    "server.index": 1, "server.storage": 1, "server.adapters": 1, "server.migrations": 1,
    "server.models": 0, "server.text": 0, "server.network": 0, "server.machine": 0, "server.assistants": 0,
    "server.buckets": 0, "server.errors": 0, "server.hashing": 0, "server.logs": 0, "server.mailer": 0,
    "server.metrics": 0, "server.plurals": 0, "server.principal": 0, "server.quotas": 0, "server.sealing": 0,
    "server.setting_files": 0, "server.setting_types": 0, "server.settings": 0, "server.spans": 0, "server.waits": 0,
    "server": 0,
}  # fmt: skip
# The layers that a module of a layer may import. Doors use adapters through the shell alone.
MAY_IMPORT = {5: {5, 4, 3, 2, 1, 0}, 4: {4, 3, 2, 0}, 3: {3, 2, 1, 0}, 2: {2, 1, 0}, 1: {1, 0}, 0: {0}}
# Packages inside a layer, from top to bottom: imports go sideways within a package and down between packages.
ORDER = {
    "server": (
        ("server.__main__",),
        ("server.commands",),
        ("server.app",),
        ("server.dashboard",),
        ("server.web",),
        ("server.shell",),
        ("server.domain",),
        ("server.index", "server.adapters"),
        ("server.storage",),
        ("server",),
    ),
    "server.domain": (
        ("server.domain.accounts", "server.domain.addresses", "server.domain.external_sign_in"),
        ("server.domain.teams",),
        ("server.domain.people",),
        ("server.domain.grants",),
        ("server.domain.memory.pages",),
        ("server.domain.memory",),
        ("server.domain",),
    ),
    "server.index": (
        (
            "server.index.memory_index",
            "server.index.prepared",
            "server.index.question",
            "server.index.earlier",
            "server.index.pace",
        ),
        ("server.index.upkeep",),
        ("server.index.chroma", "server.index.exact"),
        ("server.index.outbox",),
        ("server.index.words", "server.index.model"),
        ("server.index",),
    ),
    "server.dashboard": (
        ("server.dashboard.routes",),
        ("server.dashboard.views",),
        ("server.dashboard",),
    ),
}
DOORS = ("rest", "tools", "oauth", "server.dashboard")
# What each package of the rules may import from the others; the modules beside the packages are below all of them.
DOMAIN_PACKAGES: dict[str, set[str]] = {
    "grants": set(),
    "memory": set(),
    "people": {"grants"},
    "teams": {"grants", "memory", "people"},
    "addresses": {"people", "teams"},
    "accounts": {"addresses", "grants", "memory", "people", "teams"},
    "external_sign_in": {"accounts", "grants", "memory", "people", "teams"},
}
NOT_IN_THE_RULES = ("starlette", "mcp", "authlib", "chromadb", "uvicorn")


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_of(file): file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))}
TREES = {module: ast.parse(file.read_text("utf-8")) for module, file in SOURCES.items()}
LINES = {module: file.read_text("utf-8").splitlines() for module, file in SOURCES.items()}
WRITTEN = {module: tree for module, tree in TREES.items() if ".versions." not in module}  # migrations are generated
TESTS = [file for file in sorted((ROOT / "tests").rglob("*.py")) if "node_modules" not in file.parts]


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module name that is imported anywhere in the file; `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def layer_of(module: str) -> int:
    return LAYERS[max((known for known in LAYERS if is_within(module, known)), key=len)]


def door_of(module: str) -> str | None:
    return next((door for door in DOORS if is_within(module, door)), None)


def test_every_module_has_a_layer() -> None:
    """A new module under `server` must be placed in LAYERS and in docs/architecture.md."""
    known = [name for name in LAYERS if name != "server"]
    unplaced = [module for module in TREES if module != "server" and not any(is_within(module, name) for name in known)]
    assert unplaced == []
    table = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("## Layers")[2].partition("\n##")[0]
    assert [name for name in known if f"`{name.removeprefix('server.')}`" not in table.replace("`server.", "`")] == []


def rank_in(package: str, module: str) -> int:
    """The row of `ORDER[package]` that holds the module; the longest matching name decides."""
    rows = [(len(name), row) for row, names in enumerate(ORDER[package]) for name in names if is_within(module, name)]
    return max(rows)[1]


def ours(tree: ast.AST) -> Iterator[str]:
    return (name for name in imports(tree) if name.split(".")[0] in PACKAGES)


def test_imports_only_point_down() -> None:
    assert [
        f"{module} imports {name}"
        for module, tree in TREES.items()
        for name in ours(tree)
        if layer_of(name) not in MAY_IMPORT[layer_of(module)]
    ] == []


@pytest.mark.parametrize("package", ORDER)
def test_imports_between_the_packages_of_a_layer_point_down(package: str) -> None:
    assert [
        f"{module} imports {name}"
        for module, tree in TREES.items()
        if is_within(module, package) and module != package
        for name in ours(tree)
        if is_within(name, package) and rank_in(package, name) < rank_in(package, module)
    ] == []


def test_doors_never_import_each_other() -> None:
    assert [
        f"{module} imports {name}"
        for module, tree in TREES.items()
        for name in imports(tree)
        if door_of(module) and door_of(name) not in (None, door_of(module))
    ] == []


def test_the_rules_know_no_protocol() -> None:
    rules = {module: tree for module, tree in TREES.items() if is_within(module, "server.domain")}
    assert [
        f"{module} imports {name}"
        for module, tree in rules.items()
        for name in imports(tree)
        if name.split(".")[0] in NOT_IN_THE_RULES
    ] == []


def test_packages_of_the_rules_only_import_lower_ones() -> None:
    def package_of(module: str) -> str | None:
        return next((name for name in DOMAIN_PACKAGES if is_within(module, f"server.domain.{name}")), None)

    assert [
        f"{module} imports {name}"
        for module, tree in TREES.items()
        if is_within(module, "server.domain")
        for name in imports(tree)
        if package_of(name) not in (None, package_of(module))
        and package_of(name) not in DOMAIN_PACKAGES.get(package_of(module) or "", set())
    ] == []


def test_the_map_of_the_code_imports_nothing() -> None:
    assert list(imports(TREES["server"])) == []


def test_imports_are_at_the_top_but_for_the_heavy_ones() -> None:
    """What is heavy is imported where it is used, so that no start pays for it."""
    assert [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        if not is_within(module, "server.migrations")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(is_heavy(name) for name in imports(node)) == (node in tree.body)
    ] == []


def is_heavy(name: str) -> bool:
    return any(is_within(name, heavy) for heavy in HEAVY)


def test_functions_are_short() -> None:
    assert [
        f"{module}.{node.name}"
        for module, tree in WRITTEN.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LINES_OF_A_FUNCTION
    ] == []


def test_files_are_short() -> None:
    files = [SOURCES[module] for module in WRITTEN] + TESTS
    assert [file.name for file in files if len(file.read_text("utf-8").splitlines()) > LINES_OF_A_FILE] == []


def test_every_module_says_what_it_is_for() -> None:
    assert [module for module, tree in WRITTEN.items() if not ast.get_docstring(tree)] == []


def test_nothing_is_caught_that_is_not_named() -> None:
    """But for what raises another failure from it, hands it to those who wait for it, or logs it."""
    assert [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or re.search(r"\b(Base)?Exception\b", ast.unparse(node.type)))
        and "# noqa: BLE001 - " not in LINES[module][node.lineno - 1]
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].cause)
        and not LINES[module][node.lineno].strip().startswith("log.exception(")
    ] == []


def test_the_environment_is_read_by_the_settings_alone() -> None:
    assert [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if module not in ("server.settings", "server.network.proxies")  # proxies are settings of the operating system
        and isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("os.environ", "os.environb", "os.getenv")
    ] == []


def test_text_is_normalized_in_linear_time() -> None:
    assert [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if module != "server.text.characters"
        and isinstance(node, ast.Attribute)
        and ast.unparse(node) == "unicodedata.normalize"
    ] == []


def test_no_test_is_skipped_or_sleeps() -> None:
    """A test that a machine cannot run is left out by `tests.support.needs`, and the run says so."""
    unwanted = ("pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail", "time.sleep")
    assert [
        f"{file.name}:{node.lineno}"
        for file in TESTS
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in unwanted
    ] == []
