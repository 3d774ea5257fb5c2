"""Settings of Sphinx for the manual; `make docs` builds it and runs its doctests."""

from docutils.nodes import Node, SkipNode
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import locscale_hybrid

project = "Hybrid LocScale"
author = "the Hybrid LocScale developers"
copyright = "2026, " + author
version = release = locscale_hybrid.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.extlinks",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "requirements.txt", "tables"]  # tables are included by pages
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}
autodoc_typehints = "none"  # the docstrings name types, shapes and units
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

highlight_language = "text"
smartquotes_action = "qe"  # quotes and ellipses; two dashes of an option stay two dashes
html_theme = "furo"
html_title = f"Hybrid LocScale {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {"navigation_with_keys": True, "footer_icons": []}
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_math_renderer = "mathml"  # formulas that need neither network nor script to be read


def inline_formula(translator: HTML5Translator, node: Node) -> None:
    """Write a formula of a line as MathML."""
    translator.body.append(convert(node.astext()))
    raise SkipNode


def displayed_formula(translator: HTML5Translator, node: Node) -> None:
    """Write a formula of its own as MathML."""
    translator.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise SkipNode


def setup(app: Sphinx) -> None:
    """Register the renderer of formulas."""
    app.add_html_math_renderer("mathml", (inline_formula, None), (displayed_formula, None))
