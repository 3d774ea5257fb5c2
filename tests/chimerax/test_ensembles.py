"""Ensembles that are open as #3.1, #3.2, …: one conformer is used, as on the command line."""

import gemmi
import numpy as np
import pytest
from helpers import write_model


@pytest.fixture
def ensemble(session, run, opened, tmp_path):
    """A file of three models, opened as #4.1 to #4.3; returns how to open another one."""

    def open_models(*shifts, name="nmr.pdb"):
        write_model(tmp_path / "one.pdb")
        one = gemmi.read_structure(str(tmp_path / "one.pdb"))
        structure = gemmi.Structure()
        for number, shift in enumerate(shifts, start=1):
            try:
                model = gemmi.Model(number)
            except TypeError:
                model = gemmi.Model(str(number))
            chain = one[0][0].clone()
            for residue in chain:
                for atom in residue:
                    atom.pos = gemmi.Position(*(np.array(atom.pos.tolist()) + shift))
            model.add_chain(chain)
            structure.add_model(model)
        structure.setup_entities()
        structure.write_pdb(str(tmp_path / name))
        run(f'open "{tmp_path / name}"')

    open_models((0, 0, 0), (0.4, 0.1, 0), (0, 0.7, 0.2))
    return open_models


def chosen(session, run, words):
    """What a command that names these models would use, and what it would say."""
    from chimerax.atomic import AtomsArg
    from chimerax.locscale.commands.selection import choose
    from chimerax.map import Volume

    maps = session.models.list(type=Volume)[:2]
    return choose(maps, {"model": AtomsArg.parse(words, session)[0]}, None)


@pytest.mark.parametrize("words", ["#4", "#4.1-3", "#4.2-3,1"])
def test_first_conformer_of_an_ensemble_is_used(session, run, ensemble, words):
    found = chosen(session, run, words)
    assert [choice.structure.id_string for choice in found.models] == ["4.1"]
    assert len(found.atoms) == 24
    assert [finding["code"] for finding in found.remarks(session)] == ["several-models"]


def test_ensemble_is_said_in_the_log_by_run_and_check(session, run, ensemble):
    said = (
        "#4.1 nmr.pdb and #4.2 nmr.pdb are conformers of one model, as in an ensemble of 3. "
        "The first is used; to use another one, name it alone, for example model #4.2."
    )
    assert said in [finding["message"] for finding in run("locscale check #1 #2 model #4")]
    assert run("locscale hybrid #1 #2 model #4")
    assert said in session.log.text("warning")


def test_conformer_that_is_named_alone_is_used(session, run, ensemble):
    found = chosen(session, run, "#4.2")
    assert [choice.structure.id_string for choice in found.models] == ["4.2"]
    assert found.remarks(session) == []


def test_chosen_atoms_of_an_ensemble_count_once(session, run, ensemble):
    found = chosen(session, run, "#4:2-4")
    assert len(found.atoms) == 12
    assert [finding["code"] for finding in found.remarks(session)] == ["several-models"]


def test_conformers_of_which_one_lacks_atoms_count_once(session, run, ensemble):
    run("delete #4.2:6")
    assert [choice.structure.id_string for choice in chosen(session, run, "#4").models] == ["4.1"]


def test_core_and_shell_call_the_same_conformers(chimerax_session):
    from chimerax.locscale.scene import conformers

    from locscale_hybrid.model import parts

    assert (conformers.SAME_PLACE, conformers.MOST_ATOMS) == (parts._SAME_PLACE, parts._MOST_ATOMS)


def test_copies_in_several_places_are_all_used(session, run, ensemble):
    ensemble((0, 0, 0), (0, 8, 0), name="assembly.pdb")
    found = chosen(session, run, "#5")
    assert [choice.structure.id_string for choice in found.models] == ["5.1", "5.2"]
    assert found.remarks(session) == []
