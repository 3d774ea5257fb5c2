"""The chart of the harder cases: correlation, FSC at the limit and profile error, by program."""

from pathlib import Path

import matplotlib

from .tables import OWN, PROGRAMS

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PANELS = (
    ("cc_all", "correlation with the truth →"),
    ("fsc_near", "FSC with the truth at 1.1 d →"),
    ("prof_all", "← error of the local profile"),
)
STYLES = {
    "relion": ("tab:orange", "s"),
    "locscale": ("tab:green", "^"),
    "servalcat": ("tab:purple", "v"),
    OWN: ("tab:blue", "o"),
}
MOST_ERROR = 0.8  # larger profile errors are drawn at the rim


def draw(found: dict[str, dict], path: Path) -> None:
    """Three panels, a line for each case, a mark for each program."""
    cases = {
        name: case["figures"]
        for name, case in found.items()
        if "-seed" not in name and not case.get("real")
    }
    height = 1.2 + 0.26 * len(cases)
    figure, panels = plt.subplots(1, 3, figsize=(10, height), sharey=True, layout="constrained")
    places = range(len(cases))
    for panel, (measure, title) in zip(panels, PANELS, strict=True):
        for program, (colour, mark) in STYLES.items():
            points = [
                (min(figures[program][measure], MOST_ERROR if measure == "prof_all" else 1), place)
                for place, figures in zip(places, cases.values(), strict=True)
                if measure in figures.get(program, {})
            ]
            if points:
                x, y = zip(*points, strict=True)
                panel.plot(x, y, mark, color=colour, ms=5, label=PROGRAMS[program], alpha=0.85)
        panel.set_title(title, fontsize=10)
        panel.grid(axis="both", color="0.9", lw=0.6)
        panel.set_axisbelow(True)
    panels[0].set_yticks(list(places), list(cases))
    panels[0].invert_yaxis()
    panels[2].set_xlim(left=0)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)
