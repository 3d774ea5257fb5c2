"""The report, the record and the maps on request of a whole small run."""

import dataclasses
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files

import jsonschema
import mrcfile
import numpy as np
import pytest

from locscale_hybrid import HybridInputs, HybridParameters, output_paths, run_hybrid
from locscale_hybrid.maps.mrc import write_map
from locscale_hybrid.results.report.charts import charts_of
from locscale_hybrid.results.report.page import report_page
from locscale_hybrid.results.report.text import caveats, deeds, table_rows
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, ORIGIN, RESOLUTION = (48, 50, 52), 1.2, (-17.3, 40.0, 5.0), 3.2
HOSTILE = "half <script>alert('1')</script> & \"2\".mrc"
VOID = {"meta", "img"}  # of HTML; elements of SVG close themselves


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Simulated: 60 residues in the map, 40 of them in the model; one file has a hostile name."""
    folder = tmp_path_factory.mktemp("case")
    structure = small_model(60, centre=box_centre(SHAPE, VOXEL, ORIGIN))
    first, second, _ = half_maps(structure, SHAPE, VOXEL, RESOLUTION, 7, origin=ORIGIN)
    name = HOSTILE.replace("/", "∕")  # a slash is no part of a name
    write_map(folder / "half1.mrc", first)
    write_map(folder / name, second)
    chain = structure[0][0]
    while len(chain) > 40:
        del chain[len(chain) - 1]
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    return HybridInputs(
        half_map_1=folder / "half1.mrc", half_map_2=folder / name, model=folder / "model.cif"
    )


@pytest.fixture(scope="module")
def result(inputs, tmp_path_factory):
    parameters = HybridParameters(
        resolution=RESOLUTION,
        reseed_check=True,
        outputs=frozenset({"linear", "localB", "provenance", "mask", "gain"}),
    )
    return run_hybrid(
        inputs, parameters, output_paths(tmp_path_factory.mktemp("out") / "out.mrc", report=True)
    )


@pytest.fixture(scope="module")
def single(inputs, tmp_path_factory):
    parameters = HybridParameters(
        resolution=RESOLUTION, refiner="none", complete_model=False, reseed_check=True
    )
    one = HybridInputs(full_map=inputs.half_map_1, model=inputs.model)
    return run_hybrid(
        one, parameters, output_paths(tmp_path_factory.mktemp("single") / "one.mrc", report=True)
    )


@pytest.fixture(scope="module")
def record(result):
    return json.loads(result.record.read_text())


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(files("locscale_hybrid").joinpath("record_schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class Page(HTMLParser):
    """Tags, texts and addresses of a page; every tag that is opened is closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.addresses, self.texts, self._open = [], [], [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(path):
    with mrcfile.open(path) as file:
        return np.array(file.data)


def page_of(result):
    return result.files["report"].read_text("utf-8")


def test_report_lies_beside_the_map_and_is_named_in_the_record(result, record):
    assert result.files["report"].name == "out_report.html"
    assert record["outputs"]["report"] == str(result.files["report"])


def test_report_needs_no_network_and_no_script(result):
    text = page_of(result)
    page = Page(text)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert page.addresses and all(a.startswith("data:image/png;base64,") for a in page.addresses)
    assert not re.search(r"https?:|@import|url\((?!#)", text)


def test_names_of_files_are_text_and_never_markup(result):
    page = Page(page_of(result))
    assert "script" not in page.tags
    assert any("<script>" in text for text in page.texts)


def test_report_has_every_part(result):
    text = page_of(result)
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles == [
        "What was done",
        "Findings",
        "Numbers",
        "Curves",
        "Sections",
        "To be careful about",
        "To repeat this run",
        "Files and versions",
        "Time and memory",
    ]
    assert re.findall(r"<h3>(.*?)</h3>", text) == [
        "Half maps",
        "Hybrid model and map",
        "Work and free",
        "Amplitudes",
        "Gain",
        "B factors",
    ]
    assert text.count("<img ") == 15
    assert text.count(" Å</td>") == 3  # a scale bar for each view
    assert "prefers-color-scheme:dark" in text and "@media print" in text


def test_one_map_without_refinement_has_a_report_too(single):
    text = page_of(single)
    Page(text)
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["Amplitudes", "Gain", "B factors"]
    assert "B factors were taken from the file of the model" in text
    assert "There was one map and no half maps" in text


def test_record_is_as_its_schema_says(result, single, validator):
    for run in (result, single):
        validator.validate(json.loads(run.record.read_text()))


@pytest.mark.parametrize(
    "path",
    [
        ("resolution", "d_min_angstrom"),
        ("adp", "tau_scan"),
        ("amplitudes", "output"),
        ("inputs", "model", "sha256"),
    ],
)
def test_schema_notices_what_is_missing(record, validator, path):
    broken = json.loads(json.dumps(record))
    *above, last = path
    place = broken
    for name in above:
        place = place[name]
    del place[last]
    assert not validator.is_valid(broken)


def test_record_has_curves_counts_and_the_command(record, inputs):
    lengths = {
        len(record["amplitudes"][name])
        for name in ("frequency_per_angstrom", "input", "reference", "output")
    }
    assert len(lengths) == 1
    counts = record["hybrid_model"]["b_iso_histogram"]
    assert sum(counts["model"]) == record["hybrid_model"]["model_atoms"] == 320
    assert sum(counts["pseudo_atoms"]) == record["hybrid_model"]["pseudo_atoms"]
    assert record["command"][:4] == [
        "locscale",
        "-hm",
        str(inputs.half_map_1),
        str(inputs.half_map_2),
    ]
    assert record["observed"]["box_voxels"] == [52, 50, 48]


def test_another_seed_changes_little_and_the_number_is_told(result, record):
    change = record["reseed_check"]
    assert change["seed"] == 2
    assert 0 < change["rms_change_over_sd"] < 0.02
    assert any(name == "another seed" for name, _ in result.summary)
    assert not [f for f in result.findings if f.code == "seed-dependent"]


def test_reseed_check_is_the_change_between_two_whole_runs(inputs, result, record, tmp_path):
    parameters = HybridParameters(resolution=RESOLUTION, seed=2)
    other = run_hybrid(inputs, parameters, output_paths(tmp_path / "other.mrc"))
    inside = read(result.files["mask"]) == 1
    first, second = (read(path)[inside].astype(float) for path in (result.output, other.output))
    change = np.sqrt(np.mean((first - second) ** 2)) / first.std()
    assert record["reseed_check"]["rms_change_over_sd"] == pytest.approx(change, rel=1e-4)


def test_reseed_check_without_pseudo_atoms_says_so(single):
    assert "reseed-nothing" in {finding.code for finding in single.findings}
    assert json.loads(single.record.read_text())["reseed_check"] is None


def test_maps_on_request_are_in_the_frame_of_the_input_and_named(result):
    assert result.files["localB"].name == "out_localB.mrc"
    assert result.files["provenance"].name == "out_provenance.mrc"
    for name in ("localB", "provenance"):
        with mrcfile.open(result.files[name]) as file:
            assert file.data.shape == SHAPE
            assert file.header.origin.tolist() == pytest.approx(ORIGIN, abs=1e-4)
            assert "locscale-hybrid" in file.get_labels()[0]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("localB", "local B above the best-ordered region, A^2"),
        ("provenance", "source of the reference: 1 model, 2 pseudo-atoms, 0 neither"),
        ("mask", "mask that bounded the work, 0 to 1"),
        ("gain_8.3A", "local gain in the band at 8.3 A"),
    ],
)
def test_header_of_a_map_says_what_its_values_are(result, name, meaning):
    with mrcfile.open(result.files[name]) as file:
        assert file.get_labels()[-1] == meaning


def test_gains_are_not_negative(result):
    gains = [read(path) for name, path in result.files.items() if name.startswith("gain_")]
    assert len(gains) == 3
    assert min(values.min() for values in gains) == 0  # outside the box of the work


def test_provenance_has_the_model_pseudo_atoms_and_nothing_outside_the_mask(result):
    kinds, mask = read(result.files["provenance"]), read(result.files["mask"])
    assert set(np.unique(kinds)) == {0, 1, 2}
    assert not kinds[mask < 1].any()
    assert (kinds == 1).sum() > (kinds == 2).sum() > 0  # 40 residues against 20


def test_local_b_rises_from_the_middle_outwards(result):
    # simulated: B from 20 Å² at the centre to 90 at the farthest atom
    local, kinds = read(result.files["localB"]), read(result.files["provenance"])
    z, y, x = np.indices(SHAPE)
    radius = np.sqrt((z - 24) ** 2 + (y - 25) ** 2 + (x - 26) ** 2) * VOXEL
    model = kinds == 1
    near, far = (
        local[model & (radius < 6)].mean(),
        local[model & (radius > np.quantile(radius[model], 0.8))].mean(),
    )
    assert far > near + 10


def test_linear_among_the_outputs_changes_nothing(result):
    assert "linear" not in result.files
    assert result.linear.is_file()


def test_three_sentences_name_the_files_and_the_limit(record):
    said = deeds(record)
    assert len(said) == 3
    assert "half1.mrc" in said[0] and "320 atoms of model.cif" in said[0]
    assert "box 52 × 50 × 48 voxels of 1.2 Å" in said[0]
    assert "3.20 Å (given)" in said[1] and "half map 2 preferred" in said[1]
    assert "windows of 25 Å" in said[2]


def changed(record, **values):
    """The record with other parameters."""
    return {**record, "parameters": {**record["parameters"], **values}}


def test_caveats_are_those_of_the_run(record):
    plain = " ".join(caveats(record))
    assert "out_linear.mrc, not out.mrc" in plain
    assert "Pseudo-atoms" in plain and "3.20 Å was given" in plain
    assert "imposed" not in plain and "reference ends" not in plain and "one map" not in plain
    assert "C4 was imposed" in " ".join(caveats(changed(record, point_group="C4")))
    assert "ends at 5 Å" in " ".join(caveats(changed(record, model_resolution=5.0)))
    silent = {**record, "scaling": {**record["scaling"], "share_without_reference": 0.123}}
    assert "12.3% of the mask has no reference" in " ".join(caveats(silent))
    coarse = {**record, "resolution": {**record["resolution"], "d_min_angstrom": 7.5}}
    assert "order of single places is not refined" in " ".join(caveats(coarse))
    halves = {**record, "outputs": {**record["outputs"], "sharpened_half1": "x"}}
    assert "share their gains" in " ".join(caveats(halves))


def test_table_has_the_numbers_of_the_record(record):
    rows = dict(table_rows(record))
    assert rows["resolution"].startswith("3.20 Å")
    assert f"{record['adp']['refined_on_half_map_1']['fsc_free']:.3f}" in rows["FSC of the model"]
    assert {
        "mask",
        "atoms",
        "coverage",
        "B, model",
        "B, pseudo-atoms",
        "another seed",
        "gain, median (5–95 %)",
    } <= set(rows)


def test_a_run_without_findings_says_so_and_warnings_come_first(record):
    assert "None: nothing" in report_page({**record, "findings": []})
    findings = [
        {"code": "a", "level": "note", "message": "the note", "values": {}},
        {"code": "b", "level": "warning", "message": "the <b>warning", "values": {}},
    ]
    text = report_page({**record, "findings": findings})
    assert text.index("the &lt;b&gt;warning") < text.index("the note")


def test_fsc_limit_is_marked_in_every_chart_over_resolution(record):
    for figure in charts_of(record):
        assert figure.title == "B factors" or ">3.20 Å</text>" in figure.chart


def test_caption_of_the_gains_names_the_weights_of_the_run_alone(record, single):
    told = {figure.title: figure.caption for figure in charts_of(record)}["Gain"]
    assert "adaptive weight has been applied" in told
    assert "noise weight lowers" in told
    one = json.loads(single.record.read_text())
    told = {figure.title: figure.caption for figure in charts_of(one)}["Gain"]
    assert "adaptive" not in told
    plain = one | {
        "scaling": one["scaling"]
        | {"bands": [band | {"noise_weight": 1.0} for band in one["scaling"]["bands"]]}
    }
    told = {figure.title: figure.caption for figure in charts_of(plain)}["Gain"]
    assert told == "What each band was multiplied by inside the mask."


def test_command_in_the_report_is_typed_as_it_stands(record):
    typed = next(
        text for text in Page(report_page(record)).texts if text.startswith("locscale \\\n")
    )
    said = 'locscale() { for word; do echo "$word"; done; }\n' + typed
    ended = subprocess.run(["sh", "-c", said], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == record["command"][1:]


def test_old_report_is_replaced_as_a_whole(inputs, tmp_path):
    old = tmp_path / "out_report.html"
    old.write_text("old")
    run_hybrid(
        inputs,
        dataclasses.replace(HybridParameters(resolution=RESOLUTION), refiner="none"),
        output_paths(tmp_path / "out.mrc", report=True),
    )
    assert old.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.json",
        "out.mrc",
        "out_linear.mrc",
        "out_report.html",
    ]


@pytest.mark.long
@pytest.mark.parametrize("scheme", [0, 1])
def test_a_browser_draws_the_page_dark_or_light(result, tmp_path, scheme):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed")
    picture = tmp_path / "page.png"
    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1100,4000",
            f"--screenshot={picture}",
            result.files["report"].as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert picture.stat().st_size > 50_000


def test_amplitudes_that_were_lowered_are_not_called_sharpened(result):
    record = json.loads(result.record.read_text())
    assert "were sharpened locally" in deeds(record)[0]
    slopes = {**record["amplitudes"]["falloff_b_square_angstrom"], "input": -12.0, "output": 66.0}
    lowered = {**record, "amplitudes": {"falloff_b_square_angstrom": slopes}}
    text = deeds(lowered)[0]
    assert "were scaled locally" in text
    assert "their fall-off was -12 Å² and is 66 Å²" in text
    assert "sharpened" not in text
