"""What is simulated in each harder case.

All of it is SIMULATED.  A case differs from the kind ones of `simulated` by the noise of a
reconstruction, a soft spherical window, B factors that vary smoothly, and one fault of real data.
"""

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path

from simulated import DATA, EXAMPLES, basic

Range = tuple[int, int]  # first and last residue


@dataclass(frozen=True)
class Belt:
    """Detergent or a nanodisc: density without detail around the particle, perpendicular to z.

    Parameters
    ----------
    bottom, top : float
        Å along z, from the middle of the box.
    width : float
        Å, from the particle outwards.
    level, rim : float
        Density over the mean net density of the protein, in the middle and at both faces.
    """

    bottom: float = -15.0
    top: float = 17.0
    width: float = 20.0
    level: float = 0.85
    rim: float = 1.1


@dataclass(frozen=True)
class Motion:
    """A domain in several places, all of them in the same reconstruction.

    Parameters
    ----------
    residues : (first, last)
    turn, shift : float
        Standard deviations about the hinge, degrees and Å.
    places : int
    """

    residues: Range = (1, 125)
    turn: float = 5.0
    shift: float = 3.0
    places: int = 10


@dataclass(frozen=True)
class Mistakes:
    """Errors of the model: a domain that is bent, a helix out of register, an overfitted part.

    Parameters
    ----------
    bent, helix, overfitted : (first, last)
    bent_rms : float
        Å.
    """

    bent: Range = (1, 125)
    bent_rms: float = 1.25
    helix: Range = (274, 290)
    overfitted: Range = (180, 230)


@dataclass(frozen=True)
class HardCase(basic.Simulation):
    """A simulation of half maps as real ones are.

    Parameters
    ----------
    box, voxel_size, resolution, blur, solvent, seed
        As of `examples.simulate`; drop_chains are chains that the model lacks.
    point_group : str
    drop_last : float
        Share of the residues of every chain, at its end, that the model lacks.
    drop_range : (first, last), optional
        Residues that the model lacks.
    drop_ligands, drop_nucleic : bool
        The model lacks what is neither protein nor nucleic acid; nucleic acids.
    b_rises : bool
        B from 20 to 400 along the longest axis, in place of 20 to 95 from the middle outwards.
    coloured, windowed : bool
        Noise of a reconstruction, not white; halves end in a soft sphere.
    rare_cone : (float, float), optional
        Half angle in degrees about z, and the share of images that show these directions.
    missing_cone : float, optional
        Half angle in degrees about z of directions without any data.
    angle_error : float
        Degrees, standard deviation of the turns that the halves share.
    motion, belt, mistakes
    occupied : dict-like pairs
        Chains of partial occupancy.
    given_b : float
        Å², B of every atom of the given model.
    seen : bool
        Whether defaults of the program were chosen with this case and seed at hand.
    """

    box: int = 112
    voxel_size: float = 1.0
    blur: float = 120.0
    solvent: float = 0.5
    point_group: str = "C1"
    drop_last: float = 0.0
    drop_range: Range | None = None
    drop_ligands: bool = False
    drop_nucleic: bool = False
    b_rises: bool = False
    coloured: bool = True
    windowed: bool = True
    rare_cone: tuple[float, float] | None = None
    missing_cone: float | None = None
    angle_error: float = 0.0
    motion: Motion | None = None
    belt: Belt | None = None
    mistakes: Mistakes | None = None
    occupied: tuple[tuple[str, float], ...] = ()
    given_b: float = 40.0
    seen: bool = True

    def described(self) -> dict[str, object]:
        """Return the case as JSON values."""
        fields = dataclasses.asdict(self)
        del fields["s_squared"]
        return {name: v.name if isinstance(v, Path) else v for name, v in fields.items()}


ENOLASE = HardCase(DATA / "3enl.pdb.gz", drop_last=0.3, seed=11)
WHOLE = replace(ENOLASE, drop_last=0.0)
HAEMOGLOBIN = HardCase(EXAMPLES / "5ni1.cif.gz", box=100, voxel_size=1.05)
HAEM_AND_D = replace(HAEMOGLOBIN, drop_ligands=True, drop_chains=("D",))
TRPV1 = HardCase(
    DATA / "3j5p_C4_axis_z_at_origin.pdb.gz",
    box=128,
    voxel_size=1.45,
    resolution=3.8,
    point_group="C4",
    drop_last=0.3,
)
CASES = {
    "ctf": ENOLASE,
    "ctf-box": replace(ENOLASE, windowed=False, blur=200, resolution=3.6, seed=12),
    "cone": replace(ENOLASE, rare_cone=(35, 0.1), seed=13),
    "wedge": replace(ENOLASE, rare_cone=(60, 0.05), seed=26),
    "missing": replace(ENOLASE, missing_cone=35, seed=14),
    "angles": replace(ENOLASE, angle_error=1.5, resolution=3.4, seed=15),
    "motion": replace(ENOLASE, motion=Motion(), seed=16),
    "motion-unmodelled": replace(WHOLE, motion=Motion(), drop_range=(1, 125), seed=25),
    "occupancy": replace(HAEMOGLOBIN, drop_chains=("D",), occupied=(("D", 0.4),), seed=17),
    "nanodisc": replace(ENOLASE, belt=Belt(), seed=19),
    "nanodisc-4.5": replace(ENOLASE, belt=Belt(), resolution=4.5, blur=200, seed=27),
    "micelle": replace(TRPV1, belt=Belt(-46, -14), seed=18),
    "errors": replace(ENOLASE, drop_last=0.15, mistakes=Mistakes(), given_b=30.0, seed=20),
    "ligands": replace(HAEM_AND_D, seed=21),
    "dna": HardCase(DATA / "3mht.pdb.gz", box=100, drop_ligands=True, drop_nucleic=True, seed=22),
    "strong-b": replace(ENOLASE, b_rises=True, blur=60, seed=23),
    "tenth": replace(ENOLASE, drop_last=0.9, angle_error=1.0, resolution=3.5, seed=28),
    "mixed": replace(
        HAEM_AND_D,
        box=112,
        rare_cone=(30, 0.15),
        angle_error=1.0,
        b_rises=True,
        resolution=3.6,
        blur=100,
        seed=24,
    ),
    "missing-haemoglobin": replace(HAEM_AND_D, missing_cone=30, seed=61, seen=False),
    "nanodisc-haemoglobin": replace(HAEM_AND_D, belt=Belt(-12, 16), seed=62, seen=False),
    "errors-haemoglobin": replace(
        HAEMOGLOBIN,
        drop_chains=("D",),
        mistakes=Mistakes((1, 40), 1.25, (94, 112), (50, 70)),
        seed=63,
        seen=False,
    ),
}
FRESH = (101, 202)  # further draws, on which nothing was tuned


def case_named(name: str) -> HardCase:
    """Find a case; "cone-seed101" is another draw of "cone"."""
    base, _, seed = name.partition("-seed")
    if base not in CASES:
        raise SystemExit(f"no case {base}; there are {', '.join(CASES)}")
    return replace(CASES[base], seed=int(seed), seen=False) if seed else CASES[base]


def names(seeds: int = 1) -> list[str]:
    """List the cases with so many draws of each, those with the first draw first."""
    later = [f"{name}-seed{seed}" for seed in FRESH[: seeds - 1] for name in CASES]
    return [*CASES, *later]
