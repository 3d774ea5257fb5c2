"""Draw the packages of the core and the imports between them.

    python docs/pictures/architecture.py docs/images/architecture.svg docs/tables/packages.md

The rows are the layers of the import contract in pyproject.toml; arrows are read from the source.
An arrow that a longer way of arrows implies is left out.  The table has the first sentence of every
package.
"""

import ast
import html
import sys
import tomllib
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src/core/locscale_hybrid"
WIDTH, ROW, BOX_WIDTH, BOX_HEIGHT = 860, 62, 150, 36


def main() -> None:
    """Write the figure and the table."""
    figure, packages = map(Path, sys.argv[1:])
    figure.write_text(drawn(), encoding="utf-8")
    packages.write_text(table(), encoding="utf-8")


def layers() -> list[list[str]]:
    """Read the rows of packages from the import contract, top first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    rows = contracts["contracts"][0]["layers"]
    return [[name.strip() for name in row.replace(":", "|").split("|")] for row in rows]


def imports() -> dict[str, set[str]]:
    """Find the packages that each package imports, wherever in a module it does so."""
    found: dict[str, set[str]] = {name: set() for row in layers() for name in row}
    for path in sorted(CORE.rglob("*.py")):
        place = path.relative_to(CORE).with_suffix("").parts
        if place[0] not in found:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = place[: len(place) - node.level]
                names = (node.module or "").split(".") if node.module else []
                targets = [(*base, *names, alias.name) for alias in node.names]
                found[place[0]] |= {
                    target[0] for target in targets if target[0] in found and target[0] != place[0]
                }
    return found


def direct(edges: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Keep the imports that no longer way implies."""
    reach = {name: set(targets) for name, targets in edges.items()}
    for middle, start in product(reach, reach):  # Warshall: the way over each in turn
        if middle in reach[start]:
            reach[start] |= reach[middle]
    return [
        (name, target)
        for name, targets in edges.items()
        for target in sorted(targets)
        if not any(target in reach[other] for other in targets - {target})
    ]


def drawn() -> str:
    """Draw the boxes of every layer and the arrows between them."""
    rows, place = layers(), {}
    for number, row in enumerate(rows):
        for column, name in enumerate(row):
            x = WIDTH * (column + 0.5) / len(row)
            place[name] = (x, 8 + number * ROW)
    parts = [arrow(place[start], place[end]) for start, end in direct(imports())]
    parts += [box(name, *middle) for name, middle in place.items()]
    height = len(rows) * ROW
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="sans-serif" font-size="14">',
            '<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="6" refY="3" orient="auto">'
            '<path d="M0,0 L6,3 L0,6 z" fill="#7a8aa0"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Draw an arrow from the bottom of a box to the top of another, bent away from the boxes."""
    (x, y), (u, v) = start, end
    y += BOX_HEIGHT
    bend = 0.5 * (v - y)
    return (
        f'<path d="M{x:.0f},{y:.0f} C{x:.0f},{y + bend:.0f} {u:.0f},{v - bend:.0f} '
        f'{u:.0f},{v - 1:.0f}" fill="none" stroke="#7a8aa0" marker-end="url(#tip)"/>'
    )


def box(name: str, x: float, y: float) -> str:
    """Draw the box of a package with its number of modules."""
    inside = [path for path in (CORE / name).rglob("*.py") if path.name != "__init__.py"]
    count = f"{len(inside)} modules" if inside else "module"
    return (
        f'<rect x="{x - BOX_WIDTH / 2:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="6" fill="#eaf1fb" stroke="#4a6fa5"/>'
        f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle" fill="#1c2a3a">'
        f"{html.escape(name)}</text>"
        f'<text x="{x:.0f}" y="{y + 30:.0f}" text-anchor="middle" font-size="10" '
        f'fill="#4c5a6b">{count}</text>'
    )


def table() -> str:
    """List every package or module of the contract with the first sentence of its docstring."""
    lines = ["| package | what it is for |", "|---|---|"]
    for name in (name for row in layers() for name in row):
        path = CORE / name / "__init__.py"
        text = (
            ast.get_docstring(
                ast.parse(
                    (path if path.exists() else CORE / f"{name}.py").read_text(encoding="utf-8")
                )
            )
            or ""
        )
        lines.append(f"| `{name}` | {text.partition(chr(10))[0]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
