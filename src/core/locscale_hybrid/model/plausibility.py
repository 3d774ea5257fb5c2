"""What is odd about a model, as far as it shows without a map."""

import numpy as np

from ..findings import Finding
from ..remedies import do
from .structure import AtomicModel

FEW_ATOMS = 20


def check_content(model: AtomicModel) -> list[Finding]:
    """Check what can be seen of a model without its map."""
    findings = []
    count = len(model)
    if count < FEW_ATOMS:
        findings.append(
            Finding(
                "few-atoms",
                "warning",
                f"{model.name} has {count} atoms that scatter, too few for most of a reference",
                {"atoms": count},
                (do("check that this is the right model"),),
            )
        )
    residues = sum(len(chain) for chain in model.structure[0])
    if count >= FEW_ATOMS and count < 1.5 * residues and np.mean(model.elements == "C") > 0.9:
        findings.append(
            Finding(
                "ca-only",
                "warning",
                f"{model.name} has {count} atoms in {residues} residues, as a CA trace does; the "
                "reference is built from all atoms",
                {"atoms": count, "residues": residues},
                (do("rebuild the main and side chains first"),),
            )
        )
    low, high = float(model.b_iso.min()), float(model.b_iso.max())
    if high - low < 0.01 and count > 1:
        findings.append(
            Finding(
                "b-all-equal",
                "note",
                f"{model.name} has B = {low:.4g} Å² on every atom; this does no "
                "harm where B factors are refined",
                {"b_iso": low},
            )
        )
    elif low <= 0:
        zero = int((model.b_iso <= 0).sum())
        findings.append(
            Finding(
                "b-zero",
                "note",
                f"{model.name} has a B of zero or less on {zero} of {count} "
                "atoms; this does no harm where B factors are refined",
                {"atoms": zero},
            )
        )
    return findings
