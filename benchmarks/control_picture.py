"""The picture of the no-data control: FSC with the truth where the data hold nothing."""

from pathlib import Path

import matplotlib
import numpy as np
from control import COARSER

matplotlib.use("Agg")
import matplotlib.pyplot as plt

STYLES = {
    "adaptive": ("tab:blue", "-"),
    "smooth": ("tab:green", "--"),
    "soft": ("tab:red", "-"),
    "fdr": ("tab:purple", "-."),
    "none": ("black", ":"),
}
SHOWN = (10, 7, 5, 4, 3.5, 3, 2.7)  # Å


def draw(case: dict, path: Path) -> None:
    """Two panels: the display map and the linear map, a curve for each policy."""
    frequency, d_min = np.array(case["frequency_per_angstrom"]), case["case"]["resolution"]
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    for panel, (kind, title) in zip(
        panels, (("output", "the display map"), ("linear", "the linear map")), strict=True
    ):
        for policy, curves in case["control"].items():
            colour, dashes = STYLES[policy]
            panel.plot(frequency, curves[f"{kind}_curve"], dashes, color=colour, label=policy)
        panel.axvspan(1 / (COARSER * d_min), frequency[-1], color="0.93", zorder=0)
        panel.axvline(1 / d_min, color="0.4", lw=0.8, ls="--")
        panel.text(1 / d_min, 1.0, f" d = {d_min:g} Å", fontsize=9, va="top")
        panel.text(1 / (COARSER * d_min), -0.07, " noise only", fontsize=9, color="0.3")
        panel.set(
            title=title,
            xlabel="resolution (Å)",
            xlim=(1 / SHOWN[0], 1 / SHOWN[-1]),
            ylim=(-0.1, 1.02),
            xticks=[1 / d for d in SHOWN],
            xticklabels=[f"{d:g}" for d in SHOWN],
        )
    panels[0].set_ylabel("FSC with the truth")
    panels[1].legend(frameon=False, fontsize=9)
    figure.suptitle(
        "SIMULATED enolase: data finer than 1.2 d replaced by noise (grey); "
        "an FSC above zero there is false detail",
        fontsize=10,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
