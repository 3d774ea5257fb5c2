"""servalcat as refinement engine; the program itself is optional."""

import importlib.util
import json
import os
from importlib.metadata import version

import numpy as np
import pytest

from locscale_hybrid import HybridInputs, HybridParameters, InputError, output_paths, run_hybrid
from locscale_hybrid.inputs.half_maps import observe_halves
from locscale_hybrid.maps.mrc import write_map
from locscale_hybrid.model.structure import model_of
from locscale_hybrid.refinement.servalcat.program import refine_b
from locscale_hybrid.scattering.scatterers import Scatterers
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, ORIGIN = (54, 56, 60), 1.1, (12.5, -40.0, 7.0)


@pytest.fixture(scope="module")
def case():
    """Simulated: a complete model, B 20 to 90, and its half maps at 3 Å."""
    structure = small_model(54, centre=box_centre(SHAPE, VOXEL, ORIGIN))
    first, second, _ = half_maps(structure, SHAPE, VOXEL, 3.0, 3, origin=ORIGIN)
    return observe_halves(first, second), model_of(structure, "model")


def atoms_of(model, observed):
    return Scatterers(observed.average.grid, model.positions, model.elements, model.occupancies)


def test_without_servalcat_one_sentence_names_the_install_command(case, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    observed, model = case
    with pytest.raises(
        InputError, match=r"servalcat is not installed\. Type pip install 'servalcat'"
    ):
        refine_b(observed, atoms_of(model, observed), model.b_iso, d_min=3.0, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_without_servalcat_ends_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    inputs = HybridInputs(full_map=tmp_path / "missing.mrc")
    with pytest.raises(InputError, match="servalcat is not installed"):
        run_hybrid(
            inputs, HybridParameters(refiner="servalcat"), output_paths(tmp_path / "out.mrc")
        )


def test_folder_that_servalcat_cannot_use_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there")
    folder = tmp_path / os.fsdecode(b"Gr\xf6\xdfe")
    inputs = HybridInputs(full_map=tmp_path / "missing.mrc")
    with pytest.raises(
        InputError,
        match=r"servalcat cannot use the folder .*, because its name is "
        r"not in UTF-8\. Rename it",
    ):
        run_hybrid(
            inputs,
            HybridParameters(refiner="servalcat"),
            output_paths(tmp_path / "out.mrc", processing_folder=folder),
        )


@pytest.mark.servalcat
def test_servalcat_finds_the_true_b_in_a_box_with_an_origin(case, tmp_path):
    observed, model = case
    told = []
    b_iso = refine_b(
        observed,
        atoms_of(model, observed),
        np.full(len(model), 100.0),
        d_min=3.0,
        folder=tmp_path,
        progress=told.append,
    )
    assert np.corrcoef(b_iso, model.b_iso)[0, 1] > 0.9
    assert told == sorted(told) and told[-1] < 1


@pytest.mark.servalcat
def test_a_run_with_servalcat_completes_and_says_who_refined(case, tmp_path):
    observed, model = case
    for name, half in (("half1", observed.half_1), ("half2", observed.half_2)):
        write_map(tmp_path / f"{name}.mrc", half)
    chain = model.structure[0][0].clone()
    partial = model.structure.clone()
    while len(partial[0][0]) > 40:
        del partial[0][0][len(partial[0][0]) - 1]
    assert len(chain) == 54
    partial.make_mmcif_document().write_file(str(tmp_path / "model.cif"))
    inputs = HybridInputs(
        half_map_1=tmp_path / "half1.mrc",
        half_map_2=tmp_path / "half2.mrc",
        model=tmp_path / "model.cif",
    )
    result = run_hybrid(
        inputs,
        HybridParameters(refiner="servalcat", resolution=3.0),
        output_paths(tmp_path / "out.mrc"),
    )
    assert "adp-by-servalcat" in {finding.code for finding in result.findings}
    assert result.output.exists()
    record = json.loads(result.record.read_text())
    assert record["parameters"]["refiner"] == "servalcat"
    assert record["program"]["servalcat"] == version("servalcat")
    assert not record["adp"]["validated"] and record["adp"]["tau_scan"] == []
    assert "--refiner" in record["command"]
