"""A small D2 particle for runs of the real core: simulated half maps, one of four chains known."""

from pathlib import Path

import gemmi
import numpy as np

from locscale_hybrid.maps.mrc import write_map
from locscale_hybrid.symmetry.point_groups import parse_point_group
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, RESOLUTION = (48, 48, 48), 1.3, 3.4
_OFFSET = (9.0, 10.0, 9.0)  # Å, of a chain from the centre of the assembly


def make_case(folder: Path) -> dict[str, Path]:
    """Write half1.mrc, half2.mrc and model.cif (one chain, its last third left out)."""
    centre = np.array(box_centre(SHAPE, VOXEL))
    unit = small_model(24, centre=tuple(centre + _OFFSET))
    assembly = gemmi.Structure()
    assembly.spacegroup_hm = "P 1"
    assembly.add_model(unit[0].clone())
    del assembly[0]["A"]
    for matrix, name in zip(parse_point_group("D2").matrices, "ABCD", strict=True):
        chain = unit[0]["A"].clone()
        chain.name = name
        for residue in chain:
            for atom in residue:
                place = matrix @ (np.array(atom.pos.tolist()) - centre) + centre
                atom.pos = gemmi.Position(*place)
        assembly[0].add_chain(chain)
    half_1, half_2, _ = half_maps(assembly, SHAPE, VOXEL, RESOLUTION, 3)
    files = {name: folder / name for name in ("half1.mrc", "half2.mrc", "model.cif")}
    write_map(files["half1.mrc"], half_1)
    write_map(files["half2.mrc"], half_2)
    known = gemmi.Structure()
    known.spacegroup_hm = "P 1"
    known.add_model(unit[0].clone())
    for _ in range(8):
        del known[0]["A"][-1]
    known.setup_entities()
    known.make_mmcif_document().write_file(str(files["model.cif"]))
    return files
