"""The pages for users are in plain English of the field.

This is a list of words with reasons, not a style checker.  Developers' pages (developing, promises,
limits, messages) are left out; code, options, formulas and quoted messages do not count.
"""

import html
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOR_DEVELOPERS = {"developing.md", "promises.md", "limits.md", "messages.md"}
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in FOR_DEVELOPERS),
    *sorted((ROOT / "src/docs").rglob("*.html")),
)
# what is not said, and why
WORDS = {
    r"stands?|stood|standing": "maps and atoms are somewhere; a word for the method says what it does",
    r"lies?|lay|lying": "as above: 'is', 'is in', 'is between'",
    r"tells?|told|telling": "programs report, show, name or warn",
    r"judges?|judged|judging": "cross-validate, test, compare, confirm",
    r"holds?|held|holding": "contain, keep, limit, meet",
    r"go|goes|went|gone|going": "is removed, continues, starts, is written",
    r"besides?": "next to, with, in the same folder",
    r"anew": "again, or nothing: 'refine' says enough",
    r"the work": "the run, the computation, the mask: say which",
    r"(?<!here )(?:is|are|was|were) (?:no|none)": "'is not a mask', not 'is no mask'",
    r"(?:is|are|was|were) refused": "is an error, is not supported, is rejected",
    r"of which": "two sentences",
    r"as far as": "say what limits it",
    r"map for looking|looking weight|for looking": "display map, display weight",
    r"invents?|invented": "a weight introduces false detail",
}
# clauses, not words: no subject, or the wrong conjunction
CLAUSES = {
    r"(?:^|[.;:!|] +)Where\b(?![^.|]*\?)": "conditions begin with 'if'",
    r"(?:, |; |— )where\b": "conditions begin with 'if'; a second sentence says what a symbol is",
    r"(?:^|[.;|] +)What (?:it|they)\b(?![^.|]*\?)": "name the subject",
}


def prose(text: str, is_html: bool) -> list[str]:
    """Lines of a page without code, formulas, targets of links and quoted messages."""

    def blank(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    if is_html:
        text = re.sub(r"<(style|script)\b.*?</\1>|<!--.*?-->", blank, text, flags=re.S)
        text = re.sub(r"</?(p|li|ul|blockquote|h\d|td|tr|a|img|br|hr)\b[^>]*>", blank, text)
        text = html.unescape(re.sub(r"<[^>]*>", "", text))
    else:
        text = re.sub(r"^```(?!\{(?:admonition|note)).*?^```$", blank, text, flags=re.S | re.M)
        text = re.sub(r"<!--.*?-->|\$\$.*?\$\$|\$[^$\n]+\$|`[^`]*`", blank, text, flags=re.S)
        text = re.sub(r"\]\([^)]*\)|^\([a-z0-9-]+\)=$|<[^>\n]*>", "", text, flags=re.M)
        text = re.sub(r"^\*\*Messages:\*\*.*$", "", text, flags=re.M)
    return text.splitlines()


def found_in(lines: list[str]) -> list[str]:
    """Every use of a word or clause of the lists."""
    uses = []
    for number, line in enumerate(lines, start=1):
        for word in WORDS:
            for use in re.finditer(rf"\b(?:{word})\b(?!-)", line, flags=re.I):
                uses.append(f"{number}: {use[0]!r} ({WORDS[word]}): {line.strip()[:90]}")
        for clause, reason in CLAUSES.items():
            for use in re.finditer(clause, line):
                uses.append(f"{number}: {use[0]!r} ({reason}): {line.strip()[:90]}")
    return uses


@pytest.mark.packaging
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_has_none_of_the_words_that_readers_stumble_over(page: Path) -> None:
    assert found_in(prose(page.read_text(encoding="utf-8"), page.suffix == ".html")) == []


@pytest.mark.packaging
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The mask bounds the work.", ["the work"]),
        ("Where it is known, give it.", ["Where"]),
        ("a file that is no mask", ["is no"]),
        ("Where do I find the half maps?", []),
        ("`is no mask` and ```\nstands\n```", []),
        ("It is a well-understood, standard, stand-alone program.", []),
    ],
)
def test_words_are_found_in_prose_and_not_in_code(text: str, words: list[str]) -> None:
    uses = found_in(prose(text, is_html=False))
    assert [re.sub(r"^\d+: '[ .|]*([^']*)'.*", r"\1", use) for use in uses] == words
