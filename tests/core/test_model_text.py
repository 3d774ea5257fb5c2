"""What a model file may be besides a plain text; all files are made here."""

import gzip

import gemmi
import pytest

from locscale_hybrid.cli.estimate import _atoms
from locscale_hybrid.errors import InputError
from locscale_hybrid.model.structure import read_model
from locscale_hybrid.model.text import model_text
from locscale_hybrid.progress import peak_memory_gib
from tests.synthetic import small_model


@pytest.mark.parametrize("kind", ["pdb", "cif"])
@pytest.mark.parametrize("packed", [False, True])
def test_mark_of_utf8_before_a_model_changes_nothing(tmp_path, kind, packed):
    structure = small_model(9)
    text = (
        structure.make_pdb_string()
        if kind == "pdb"
        else (structure.make_mmcif_document().as_string())
    )
    path = tmp_path / f"model.{kind}"
    raw = text.encode("utf-8-sig")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    assert len(read_model(path)) == 72


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-32-le", "UTF-32"),
    ],
)
def test_other_encodings_are_named(tmp_path, encoding, name):
    path = tmp_path / "model.cif"
    path.write_bytes(small_model(9).make_mmcif_document().as_string().encode(encoding))
    with pytest.raises(InputError, match=f"is text in the encoding {name}. Save it as UTF-8 or"):
        read_model(path)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_ends_of_lines_of_other_systems_change_nothing(tmp_path, end):
    path = tmp_path / "model.pdb"
    path.write_bytes(small_model(9).make_pdb_string().replace("\n", end).encode())
    assert len(read_model(path)) == 72


@pytest.mark.parametrize("filling", [b"\0", b" ", b"ATOM  \n"])
def test_small_file_that_unpacks_to_a_large_one_is_refused_in_little_memory(tmp_path, filling):
    path = tmp_path / "model.pdb.gz"
    with gzip.open(path, "wb", compresslevel=6) as stream:
        for _ in range(70):
            stream.write(filling * ((1 << 20) // len(filling)))
    before = peak_memory_gib()
    with pytest.raises(InputError, match=r"unpacks to more than 67\.11 MB, more than an"):
        read_model(path)
    assert _atoms(path) == 0
    assert peak_memory_gib() - before < 0.29


def test_blanks_before_a_model_take_no_memory_of_their_own(tmp_path):
    structure = small_model(9)
    for text in (structure.make_mmcif_document().as_string(), structure.make_pdb_string()):
        path = tmp_path / "model"
        path.write_text("\n" * 3_000_000 + text)
        before = peak_memory_gib()
        assert len(read_model(path)) == 72
        # of a line gemmi keeps nothing, of a blank that a regular expression walks 120 bytes
        assert peak_memory_gib() - before < 0.29


def test_file_larger_than_any_model_is_not_read(tmp_path):
    path = tmp_path / "map.mrc"
    with path.open("wb") as stream:
        stream.write(b"x")
        stream.truncate(2_000_000_000)  # takes no room on the disk
    with pytest.raises(InputError, match="has 2 GB, more than any atomic model needs"):
        model_text(path)


@pytest.mark.parametrize(
    ("start", "name"), [(b"BZh91AY&SY", "bzip2"), (b"\xfd7zXZ\0\0", "xz"), (b"PK\x03\x04zz", "zip")]
)
def test_other_packers_are_named(tmp_path, start, name):
    path = tmp_path / "model.pdb"
    path.write_bytes(start + b"rest")
    with pytest.raises(InputError, match=f"is compressed with {name}. Decompress it"):
        read_model(path)


def test_million_residues_in_one_chain_are_read_as_gemmi_reads_few(tmp_path):
    # gemmi looks through the chain for each residue: 30 s for 200,000; here the number of residues
    # that it has to look through is counted, by way of the pieces
    n = 12_000
    rows = "".join(
        f"HETATM {i} O O . HOH W 1 . ? {i % 30 * 3} {i // 30 % 30 * 3} {i // 900 * 3} "
        f"1 20 {i} W 1\n"
        for i in range(1, n + 1)
    )
    columns = (
        "group_PDB",
        "id",
        "type_symbol",
        "label_atom_id",
        "label_alt_id",
        "label_comp_id",
        "label_asym_id",
        "label_entity_id",
        "label_seq_id",
        "pdbx_PDB_ins_code",
        "Cartn_x",
        "Cartn_y",
        "Cartn_z",
        "occupancy",
        "B_iso_or_equiv",
        "auth_seq_id",
        "auth_asym_id",
        "pdbx_PDB_model_num",
    )
    text = "data_x\nloop_\n" + "".join(f"_atom_site.{name}\n" for name in columns) + rows
    path = tmp_path / "model.cif"
    path.write_text(text)
    ours = read_model(path)
    plain = gemmi.make_structure_from_block(gemmi.cif.read_string(text).sole_block())
    assert [chain.name for chain in ours.structure[0]] == ["W"]
    assert [str(residue.seqid) for residue in ours.structure[0][0]] == [
        str(residue.seqid) for residue in plain[0][0]
    ]
    assert ours.positions.tolist() == [site.atom.pos.tolist() for site in plain[0].all()]
