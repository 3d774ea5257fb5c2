"""The command file that opens a run in ChimeraX."""

import pytest

from locscale_hybrid.outputs import output_paths
from locscale_hybrid.results.session_script import write_session_script


@pytest.mark.parametrize(
    ("name", "line"), [("out.mrc", 'open "out.json"'), ('a "b" é.map', "open 'a \"b\" é.json'")]
)
def test_command_file_names_the_record_without_its_folder(tmp_path, name, line):
    outputs = output_paths(tmp_path / name)
    outputs.record.write_text("{}")
    path = write_session_script(outputs)
    assert path == outputs.named(".cxc")
    assert path.read_text("utf-8").splitlines()[-1] == line


def test_without_a_record_or_a_place_for_it_there_is_no_command_file(tmp_path):
    outputs = output_paths(tmp_path / "out.mrc")
    assert write_session_script(outputs) is None
    outputs.record.write_text("{}")
    (tmp_path / "out.cxc").mkdir()
    assert write_session_script(outputs) is None
