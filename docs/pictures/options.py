"""Write the manual's tables of options and the texts of ChimeraX's command page from one source.

`make options` runs it.  The source is the docstrings of `HybridInputs` and `HybridParameters`,
and the help texts of the command line's other options.
"""

import argparse
import html
import re
import textwrap
from pathlib import Path

from locscale_hybrid.cli.help_texts import option_tables
from locscale_hybrid.cli.options import build_parser
from locscale_hybrid.option_texts import OptionText, option_texts

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "src/docs/user/commands/locscale.html"
# What the page says of a parameter is between <!--field--> and <!--/-->.
_PLACE = re.compile(r"<!--(\w+)-->.*?<!--/-->", re.DOTALL)
_TERMS = {"scaling": "<b>scaling</b>", "window": "<b>window</b>"}


def main() -> None:
    """Write all tables into a folder, and the texts into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="?", default=ROOT / "docs/tables")
    parser.add_argument("page", type=Path, nargs="?", default=PAGE)
    asked = parser.parse_args()
    for title, table in option_tables(build_parser()).items():
        name = "options_" + re.sub(r"\W+", "_", title.lower())
        (asked.tables / f"{name}.md").write_text(table, encoding="utf-8")
    asked.page.write_text(with_texts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def with_texts(page: str) -> str:
    """Put the present texts into their places on the page."""

    def place(found: re.Match[str]) -> str:
        """Fill one place."""
        text = textwrap.fill(markup(option_texts()[found[1]]), 100, break_on_hyphens=False)
        return f"<!--{found[1]}-->\n{text}<!--/-->"

    return _PLACE.sub(place, page)


def markup(text: OptionText) -> str:
    """Return a text as HTML in ASCII, the names of keywords in bold."""
    escaped = html.escape(text.sentences(), quote=False)
    named = re.sub(r"`(\w+)`", lambda found: _TERMS.get(found[1], found[1]), escaped)
    return named.encode("ascii", "xmlcharrefreplace").decode()


if __name__ == "__main__":
    main()
