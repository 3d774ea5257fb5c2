"""Files that are written together are all there, or those that were new are gone."""

import pytest

from locscale_hybrid.files import all_or_none


def test_files_of_a_finished_step_stay(tmp_path):
    with all_or_none([tmp_path / "a"]):
        (tmp_path / "a").write_text("new")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_new_files_of_a_step_that_was_ended_go_and_older_ones_stay(tmp_path, error):
    (tmp_path / "old").write_text("old")
    with pytest.raises(error), all_or_none([tmp_path / name for name in ("old", "a", "b")]):
        (tmp_path / "a").write_text("new")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
