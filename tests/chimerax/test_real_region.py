"""`zone` and `subregion` with the real core: the right box, with the values of the whole map."""

import gemmi
import numpy as np
import pytest
from real_case import SHAPE, VOXEL, make_case

MARGIN = 5.0  # Å around the atoms of the zone


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


def box_by_indices(low, high):
    """Which voxels lie between two voxels (x, y, z), both included."""
    inside = np.zeros(SHAPE, dtype=bool)
    inside[tuple(slice(a, b + 1) for a, b in zip(low[::-1], high[::-1], strict=True))] = True
    return inside


def box_around(path, residues):
    """Which voxels lie in the box around the atoms of residues, as the file has them."""
    chain = gemmi.read_structure(str(path))[0]["A"]
    places = np.array(
        [
            atom.pos.tolist()
            for residue in chain
            for atom in residue
            if residue.seqid.num in residues
        ]
    )
    low, high = places.min(axis=0) - MARGIN, places.max(axis=0) + MARGIN
    inside = np.ones(SHAPE, dtype=bool)
    for axis, at in enumerate(
        np.meshgrid(*(VOXEL * np.arange(n) for n in SHAPE), indexing="ij")[::-1]
    ):
        inside &= (at >= low[axis]) & (at <= high[axis])
    return inside


def is_part(part, whole, inside):
    """Whether a map is the whole inside the box, to 3 % of its sd, and 0 outside of it."""
    change = np.sqrt(np.square(part[inside] - whole[inside]).mean())
    return inside.sum() > 500 and not part[~inside].any() and change < 0.03 * whole[inside].std()


def test_part_of_the_map_is_that_of_the_whole_in_its_place(session, run, case):
    for path in case.values():
        run(f'open "{path}"')
    run("turn 1,2,3 40 models #1-3; move 11,-7,5 models #1-3")  # as one
    first = next(model for model in session.models.list() if model.id_string == "1")
    asked = "locscale hybrid #1 #2 model #3 processes 1 refiner none"
    result = run(asked)
    whole = np.array(result.full_matrix())

    zone = run(f"{asked} zone #3/A:4-9 range {MARGIN}")
    inside = box_around(case["model.cif"], range(4, 10))
    assert is_part(np.array(zone.full_matrix()), whole, inside)
    assert "a region alone was scaled, for a quick look" in session.log.text("info")

    low, high = (14, 12, 16), (33, 37, 30)
    corners = ",".join(map(str, low + high))
    again = run(f"locscale hybrid update #4 subregion {corners} processes 1")
    assert again is result
    assert is_part(np.array(result.full_matrix()), whole, box_by_indices(low, high))

    for made in (zone, result):
        assert made.scene_position.same(first.scene_position)
        assert (made.data.size, made.data.origin, made.data.step) == (
            first.data.size,
            first.data.origin,
            first.data.step,
        )

    run("locscale hybrid update #4 subregion all processes 1")
    assert np.array_equal(result.full_matrix(), whole)
