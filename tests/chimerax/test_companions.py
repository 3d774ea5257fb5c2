"""Structures that go with a result take new values at an update, in place if their atoms allow it.

Maps and models are small and made up.
"""

from pathlib import Path

import gemmi
import numpy as np
import pytest
from helpers import model_of, write_model


def hybrid_of(path, *, shift=0.0, pseudo=5):
    """The hybrid model as a run would have written it: a file's atoms, and pseudo-atoms."""
    from chimerax.locscale.results.opening import AtomSites, HybridAtoms

    structure = gemmi.read_structure(str(path))
    for site in structure[0].all():
        site.atom.pos += gemmi.Position(shift, 0, 0)
        site.atom.b_iso += shift
    structure.make_mmcif_document().write_file(str(path))
    places = np.arange(3.0 * pseudo).reshape(-1, 3) + shift
    return HybridAtoms(
        Path(path), places, np.full(pseudo, 50.0 + shift), np.ones(pseudo), AtomSites.of(structure)
    )


@pytest.fixture
def update(session, run, opened, tmp_path):
    """Open or update what goes with #1; returns a function."""
    from chimerax.locscale.results.companions import open_companions
    from chimerax.locscale.results.opening import LoadedMaps
    from chimerax.locscale.scene.handover import InputMap

    volume = model_of(session, "1")

    def call(hybrid, earlier=()):
        loaded = LoadedMaps(np.zeros(1), None, hybrid=hybrid)
        return open_companions(
            session, InputMap.of(volume), volume, loaded, list(earlier), copied=False
        )

    return call


@pytest.fixture
def model_file(tmp_path):
    write_model(tmp_path / "hybrid.cif")
    return tmp_path / "hybrid.cif"


def test_same_atoms_are_moved_and_keep_their_looks(update, model_file):
    first = update(hybrid_of(model_file))
    model, pseudo = first
    model.atoms.colors = (1, 2, 3, 255)
    model.display = True
    before = model.atoms.coords.copy()
    again = update(hybrid_of(model_file, shift=2.0), first)
    assert again == first and not model.deleted
    assert np.allclose(model.atoms.coords - before, (2, 0, 0), atol=1e-3)
    assert model.atoms.bfactors.tolist() == pytest.approx(
        [32.0 + i // 4 for i in range(24)], abs=0.01
    )
    assert model.atoms.colors[0].tolist() == [1, 2, 3, 255] and model.display
    assert pseudo.atoms.bfactors.tolist() == [52.0] * 5


@pytest.mark.parametrize("pseudo", [3, 9])
def test_pseudo_atoms_that_went_or_came_are_taken_away_or_added(update, model_file, pseudo):
    first = update(hybrid_of(model_file))
    first[1].atoms.colors = (255, 0, 0, 255)
    hybrid = hybrid_of(model_file, pseudo=pseudo)
    _, structure = update(hybrid, first)
    assert structure is first[1] and structure.num_residues == pseudo
    assert np.allclose(structure.atoms.coords, hybrid.positions)
    assert (structure.atoms.colors == (255, 0, 0, 255)).all()
    assert set(structure.residues.names) == {"PSAT"}


def test_structure_with_other_atoms_is_replaced(update, model_file, tmp_path):
    model, pseudo = update(hybrid_of(model_file))
    write_model(tmp_path / "longer.cif", residues=8)
    others = update(hybrid_of(tmp_path / "longer.cif"), [model, pseudo])
    longer = next(structure for structure in others if structure.num_atoms == 32)
    assert model.deleted and longer.name.endswith(", model")


def test_structure_that_was_edited_is_replaced(run, update, model_file):
    first = update(hybrid_of(model_file))
    number = first[0].id_string
    run(f"delete #{number}:1")
    again = update(hybrid_of(model_file), first)
    assert first[0].deleted and {structure.num_atoms for structure in again} == {24, 5}
