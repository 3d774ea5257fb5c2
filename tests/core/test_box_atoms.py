"""Atoms outside the box of a map, against the same atoms in a box that holds them all.

The model is real (enolase, 3ENL), the densities are made from it.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import gemmi
import numpy as np
import pytest

from locscale_hybrid import HybridInputs, HybridParameters, output_paths, run_hybrid
from locscale_hybrid.completion.completion import assembled
from locscale_hybrid.errors import InputError
from locscale_hybrid.inputs.checks import check_inputs
from locscale_hybrid.inputs.half_maps import observe_halves
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import read_map, write_map
from locscale_hybrid.model.box_atoms import cut_to_box, fringe_around
from locscale_hybrid.model.hybrid_model import complete_assembly
from locscale_hybrid.model.structure import atom_positions, model_of, read_model
from locscale_hybrid.scattering.fringe import in_box
from locscale_hybrid.scattering.reference_map import reference_map
from tests.models import CENTRE, helix, symmetry
from tests.models import model as helix_model
from tests.synthetic import box_centre, half_maps, small_model

DATA = Path(__file__).parents[1] / "data"
MARGIN, FIRST, SHAPE = 12.0, np.array([20, 20, 24]), (34, 40, 30)


@cache
def enolase():
    return read_model(DATA / "3enl.pdb.gz")


def boxes(voxel=1.0):
    """A box that holds enolase, and one cut out of it; what is cut, as slices."""
    places = enolase().positions
    low = places.min(axis=0) - MARGIN
    sides = np.ceil((np.ptp(places, axis=0) + 2 * MARGIN) / voxel / 2).astype(int)[::-1] * 2
    full = Grid(tuple(map(int, sides)), (voxel,) * 3, tuple(low))
    crop = Grid(SHAPE, (voxel,) * 3, tuple(full.position_of(FIRST)))
    return full, crop, tuple(slice(a, a + n) for a, n in zip(FIRST, SHAPE, strict=True))


def references(b_iso, b_floor, *, with_fringe=True):
    """The reference in the cut box, and the cut of the reference in the full one."""
    full, crop, part = boxes()
    whole = enolase()
    everything = complete_assembly(whole)
    everything = everything.with_values(b_iso=np.full(len(everything), b_iso))
    inside, fringe = assembled(cut_to_box(whole, crop), whole, None, crop)
    inside = inside.with_values(b_iso=np.full(len(inside), b_iso))
    got = reference_map(crop, inside, fringe if with_fringe else None, b_floor=b_floor)
    return got.values, reference_map(full, everything, b_floor=b_floor).values[part]


# what is finer than the voxels rings, and what rings from farther away than 10 Å counts for nothing
@pytest.mark.parametrize(("b_floor", "most"), [(200.0, 1e-4), (120.0, 1e-3), (60.0, 0.03)])
def test_reference_in_a_cut_map_is_the_cut_of_the_whole_reference(b_floor, most):
    got, expected = references(90.0, b_floor)
    assert np.abs(got - expected).max() < most * expected.std()


def test_nothing_of_an_atom_near_a_face_comes_in_at_the_opposite_one():
    grid = Grid((40, 44, 48), (1.0, 1.0, 1.0), (5.0, -3.0, 8.0))
    atom = helix_model({"A": helix(1)})
    at_face = grid.position_of(np.array([[20.0, 22.0, 0.3]]))
    one = complete_assembly(replace(atom, positions=np.repeat(at_face, len(atom), axis=0)))
    values = reference_map(grid, one.with_values(b_iso=np.full(len(one), 50.0)), b_floor=50).values
    assert np.abs(values[:, :, -6:]).max() < 3e-3 * values.max()
    assert values[20, 22, 0] == values.max()


def test_atoms_are_cut_as_gemmi_lists_them():
    whole = read_model(Path(__file__).parents[2] / "examples" / "data" / "5ni1.cif.gz")
    low, high = np.percentile(whole.positions, (30, 75), axis=0)
    shape = tuple(int(n) for n in (high - low)[::-1])
    grid = Grid(shape, (1.0, 1.0, 1.0), tuple(low))
    part = cut_to_box(whole, grid)
    end = np.array(grid.origin) + np.array(grid.cell) - 0.5
    expected = [
        site
        for site in whole.structure[0].all()
        if (np.array(site.atom.pos.tolist()) >= low - 0.5).all()
        and (np.array(site.atom.pos.tolist()) < end).all()
    ]
    assert [site.atom.serial for site in part.structure[0].all()] == [
        site.atom.serial for site in expected
    ]
    scatterers = [site for site in expected if not site.atom.is_hydrogen()]
    assert part.positions.tolist() == [site.atom.pos.tolist() for site in scatterers]
    assert np.array_equal(atom_positions(part.structure)[part.atom_index], part.positions)
    names = [chain.name for chain in part.structure[0]]
    assert [names[i] for i in part.chain_index] == [site.chain.name for site in scatterers]
    assert len(whole.structure[0]) >= len(names)


def test_model_inside_its_box_is_the_same_object():
    full, crop, _ = boxes()
    assert cut_to_box(enolase(), full) is enolase()
    assert (
        len(fringe_around(full, enolase().positions, enolase().elements, enolase().occupancies))
        == 0
    )
    part = cut_to_box(enolase(), crop)
    assert cut_to_box(part, crop) is part
    assert len(part) == in_box(crop, enolase().positions).sum()


def test_model_wholly_outside_is_left_to_the_checks():
    _, crop, _ = boxes()
    away = replace(enolase(), positions=enolase().positions + 1000)
    assert cut_to_box(away, crop) is away


def test_copies_outside_the_box_are_left_out():
    model = helix_model({"A": helix(20)})
    group = symmetry("C2")
    every = complete_assembly(model, group)
    half = Grid((90, 60, 90), (1.0,) * 3, (CENTRE[0] - 45, CENTRE[1] + 0.2, CENTRE[2] - 45))
    assert in_box(half, model.positions).all()
    inside = complete_assembly(model, group, grid=half)
    assert (every.n_atoms, inside.n_atoms) == (160, 80)
    assert inside.copies == ()


@cache
def cut_case():
    """Half maps cut out of larger ones, as phenix.map_box does: 46 % of the atoms are inside."""
    full, crop, part = boxes(1.2)
    structure = enolase().structure.clone()
    halves = half_maps(structure, full.shape, 1.2, 3.4, 5, origin=full.origin)[:2]
    return crop, observe_halves(
        *(Map(np.ascontiguousarray(half.values[part]), crop, half.name) for half in halves)
    )


def test_whole_model_in_a_cut_map_passes_the_checks_with_the_count():
    crop, observed = cut_case()
    found = [
        finding
        for finding in check_inputs(observed, enolase(), resolution=3.4)
        if finding.code not in ("masked-input", "b-all-equal")
    ]
    outside = len(enolase()) - int(in_box(crop, enolase().positions).sum())
    assert [finding.code for finding in found] == ["atoms-outside"]
    assert (
        f"{outside} of 3647 atoms of 3enl.pdb.gz are outside the box of the map and are left "
        "out" in found[0].message
    )


@pytest.mark.parametrize("far", [9999.999, -999.999, 2000.0])
def test_one_atom_far_away_changes_no_finding(far):
    crop, observed = cut_case()
    part = cut_to_box(enolase(), crop)
    structure = part.structure.clone()
    atom = next(iter(structure[0].all())).atom
    atom.pos = gemmi.Position(far, far, far)
    positions = part.positions.copy()
    positions[0] = far
    moved = replace(part, positions=positions, structure=structure)
    plain = [f.code for f in check_inputs(observed, part, resolution=3.4)]
    found = [f.code for f in check_inputs(observed, moved, resolution=3.4)]
    assert sorted(found) == sorted([*plain, "atoms-outside"])


def test_cut_model_in_the_wrong_place_is_refused():
    _, observed = cut_case()
    away = replace(enolase(), positions=enolase().positions + (15.0, -9.0, 8.0))
    with pytest.raises(InputError, match=r"shifted by|no shift makes it fit"):
        check_inputs(observed, away, resolution=3.4)


def test_a_run_with_the_whole_model_is_one_with_the_model_cut_to_the_map(tmp_path):
    """Simulated; half maps of 60 x 64 x 62 voxels cut to 42 along y, part of the model out."""
    shape, voxel, origin = (60, 64, 62), 1.2, (-17.3, 40.0, 5.0)
    x, y, z = box_centre(shape, voxel, origin)
    whole = small_model(120, centre=(x, y + 9, z))
    first, second, truth = half_maps(whole, shape, voxel, 3.2, 7, origin=origin)
    crop = Grid((60, 42, 62), (voxel,) * 3, origin)
    for name, half in (("half1", first), ("half2", second)):
        write_map(tmp_path / f"{name}.mrc", Map(half.values[:, :42].copy(), crop, name))
    cut = cut_to_box(model_of(whole.clone(), "whole"), crop).structure
    assert 0.5 < cut[0].count_atom_sites() / whole[0].count_atom_sites() < 0.85
    maps = []
    for name, structure in (("whole", whole), ("cut", cut)):
        structure.make_mmcif_document().write_file(str(tmp_path / f"{name}.cif"))
        inputs = HybridInputs(
            tmp_path / "half1.mrc", tmp_path / "half2.mrc", model=tmp_path / f"{name}.cif"
        )
        done = run_hybrid(
            inputs,
            HybridParameters(
                complete_model=False, resolution=3.2, outputs=frozenset(["reference", "model"])
            ),
            output_paths(tmp_path / f"{name}.mrc"),
        )
        kept = read_model(done.files["model"], keep_pseudo_atoms=True)
        maps.append(
            (
                read_map(done.files["reference"]).values,
                read_map(done.linear).values,
                kept.b_iso,
                [finding.code for finding in done.findings],
            )
        )
    (reference, linear, b_iso, codes), (_, plain, plain_b, plain_codes) = maps
    assert b_iso == pytest.approx(plain_b, abs=0.02)
    assert np.corrcoef(reference.ravel(), truth.values[:, :42].ravel())[0, 1] > 0.985
    difference = (linear - plain) / plain.std()
    assert (np.abs(difference).max(), np.sqrt(np.square(difference).mean())) < (0.3, 0.02)
    assert set(codes) - {"atoms-outside"} == set(plain_codes)
    assert "atoms-outside" in codes
