"""Help texts of the options that set an input or a parameter, and the manual's table of options."""

import argparse
from collections.abc import Iterator
from dataclasses import replace

from ..option_texts import OptionText, option_texts
from .words import TERMS

# What an option sets: its spelling -> field of an input or a parameter.
_FIELDS = {**{term: name for name, term in TERMS.items()}, TERMS["half_maps"]: "half_map_1"}
_MARKED = {name: f"`{term}`" for name, term in TERMS.items()}


def add_help_texts(parser: argparse.ArgumentParser) -> None:
    """Give every option of an input or a parameter its help text."""
    for action in parser._actions:
        text = _text_of(action)
        if text is not None:
            action.help = text.worded(TERMS).sentences().replace("%", "%%")


def field_of(action: argparse.Action) -> str:
    """Name the input or the parameter that an option sets; empty if it sets none."""
    fields = (_FIELDS.get(spelling) for spelling in action.option_strings)
    return next((field for field in fields if field in option_texts()), "") or ""


def option_tables(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Make the manual's tables of options, one for each group of ``--help``.

    Parameters
    ----------
    parser : ArgumentParser
        With its help texts.

    Returns
    -------
    dict of str to str
        Markdown by title of the group.
    """
    heads = ["| option | | what it does | values; default | when |", "|---|---|---|---|---|"]
    return {
        group.title or "": "\n".join([*heads, *_rows(group)]) + "\n"
        for group in parser._action_groups
        if any(action.help != argparse.SUPPRESS for action in group._group_actions)
    }


def _rows(group: argparse._ArgumentGroup) -> Iterator[str]:
    """Yield the lines of a table."""
    for action in group._group_actions:
        if action.help == argparse.SUPPRESS:
            continue
        text = _text_of(action)
        if text is None:
            effect, bounds, advice = (action.help or "").replace("%%", "%"), "", ""
        else:
            text = text.worded(_MARKED)
            default = "" if text.kind == "bool" else text.default.removeprefix("default")
            bounds = "; ".join(part for part in (text.limits, default.strip(": ")) if part)
            effect, advice = text.effect, text.advice
        short, long = _spellings(action)
        cells = (short, long, effect, bounds, advice)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _spellings(action: argparse.Action) -> tuple[str, str]:
    """Return the spellings with one and with two dashes; the first has the value with it."""
    metavar = action.metavar
    value = " ".join(metavar) if isinstance(metavar, tuple) else metavar or ""
    if not value and action.choices:
        value = "\\|".join(map(str, action.choices))
    words = [f"{name} {value}".strip() for name in action.option_strings[:1]]
    words += action.option_strings[1:]
    marked = [f"`{word}`".replace("\\|", "|") for word in words]
    return ("", marked[0]) if len(marked) == 1 else (marked[0], marked[1])


def _text_of(action: argparse.Action) -> OptionText | None:
    """Return what an option does to the input or the parameter that it sets."""
    text = option_texts().get(field_of(action))
    if text is None:
        return None
    if action.dest == "outputs":
        effect = text.effect.replace("reference, model.", "reference, model, or all of them (all).")
        text = replace(text, effect=effect)
    if action.dest == "complete_model":  # off unless it is given
        text = replace(text, advice=text.advice.replace("Turn it off", "Leave it out"))
    if action.dest == "no_noise_weight":  # it turns off what the parameter turns on
        effect = f"Do not {text.effect[:1].lower()}{text.effect[1:]}"
        advice = text.advice.replace("Turn it off", "Use it")
        text = replace(text, effect=effect, advice=advice)
    return text
