"""The structure that everything later stands on: a pure core, services apart, a judge that shares no code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {path.name for path in (ROOT / "services").glob("timeoff_*") if (path / "__init__.py").exists()}
PURE = {
    "timeoff_balance.figures",
    "timeoff_balance.flows.contract",
    "timeoff_balance.flows.orders",
    "timeoff_balance.flows.results",
    "timeoff_balance.flows.values",
    "timeoff_balance.reserved",
    "timeoff_leave.errors",
    "timeoff_leave.filters",
    "timeoff_leave.journal_postings",
    "timeoff_leave.periods",
    "timeoff_leave.requests_rules",
    "timeoff_leave.values",
    "timeoff_leave.wire",
    "timeoff_sync.bookings",
    "timeoff_sync.decide",
    "timeoff_sync.decisions",
    "timeoff_sync.fold",
    "timeoff_sync.handed",
    "timeoff_sync.settle",
    "timeoff_sync.outcomes",
    "timeoff_sync.seen",
    "timeoff_sync.wanted",
    "timeoff.days",
    "timeoff.vocabulary",
    "timeoff.handover",
    "timeoff.hris.choices",
    "timeoff.hris.units",
    "timeoff.reasons",
    "timeoff.strict_json",
}
#: A clock, a loop, a socket, a file, chance.
IMPURE = {
    "aiohttp",
    "aiokafka",
    "asyncio",
    "asyncpg",
    "http",
    "io",
    "logging",
    "os",
    "pathlib",
    "secrets",
    "socket",
    "structlog",
    "subprocess",
    "threading",
    "time",
    "urllib",
    "websockets",
}
CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter"}


def source(module: str) -> Path:
    root = "services" if module.split(".")[0] in SERVICES else "shared"
    path = ROOT / root / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def modules(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import anywhere in a file; the name is empty for `import module`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who depends on whom"
            yield from ((node.module or "", alias.name) for alias in node.names)


def top_level(path: Path) -> set[str]:
    return {module.split(".")[0] for module, _ in imports(path)}


@pytest.mark.parametrize("module", sorted(PURE))
def test_what_decides_has_no_await_no_clock_and_no_io(module: str) -> None:
    tree = ast.parse(source(module).read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith), (
            f"{module}:{node.lineno} waits"
        )
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in CLOCKS, f"{module}:{node.lineno} reads a clock"
            assert name not in {"open", "print", "input"}, f"{module}:{node.lineno} does I/O"
    assert not top_level(source(module)) & IMPURE
    if module != "timeoff_sync.outcomes":
        assert "random" not in top_level(source(module)), "only the jitter of retries is left to chance"


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_module_stands_on_values_and_pure_modules(module: str) -> None:
    """Through another module the clock would come in by the back door."""
    values = {
        "timeoff.errors",
        "timeoff.events",
        "timeoff.hris",
        "timeoff.hris.port",
        "timeoff.ledger.rows",
        "timeoff.ledger.steps",
        "timeoff.rules",
        "timeoff_leave.errors",
    }
    inner = {name for name, _ in imports(source(module)) if name.startswith("timeoff")}
    assert inner <= PURE | values


@pytest.mark.parametrize("service", sorted(SERVICES - {"timeoff_cli"}))
def test_services_never_import_each_other(service: str) -> None:
    for path in modules(ROOT / "services" / service):
        assert not top_level(path) & (SERVICES - {service}), path.relative_to(ROOT)


def test_the_sandbox_shares_no_code_with_what_it_judges() -> None:
    for path in modules(ROOT / "services" / "timeoff_sandbox"):
        assert "timeoff" not in top_level(path), path.relative_to(ROOT)


def test_the_library_imports_no_service() -> None:
    for path in modules(ROOT / "shared" / "timeoff"):
        assert not top_level(path) & SERVICES, path.relative_to(ROOT)


def test_the_ports_know_no_vendor() -> None:
    """Core and ports plan from capabilities; only the adapter's own folder names it."""
    core = [
        *modules(ROOT / "services" / "timeoff_sync"),
        *(ROOT / "shared" / "timeoff" / "hris").glob("*.py"),
    ]
    vendors = ("bamboohr", "tracktik", "timeoff.hris.reference")
    for path in core:
        text = path.read_text().lower()
        assert not any(vendor in text for vendor in vendors), path.relative_to(ROOT)


def test_everything_is_found() -> None:
    assert {
        "timeoff_balance",
        "timeoff_cli",
        "timeoff_leave",
        "timeoff_listener",
        "timeoff_sandbox",
        "timeoff_sync",
    } <= SERVICES
    assert all(source(module).is_file() for module in PURE)
    assert len(modules(ROOT / "shared" / "timeoff")) > 30
