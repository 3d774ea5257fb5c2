"""Tables of atoms of mmCIF files that lack columns, against gemmi on the whole table."""

import gemmi
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.model.structure import read_model
from tests.synthetic import small_model


def written(tmp_path, *, without=(), change=None):
    """A simulated model with some columns of its table taken out."""
    document = small_model(18).make_mmcif_document()
    block = document.sole_block()
    loop = block.find_loop("_atom_site.id").get_loop()
    if change is not None:
        column, values = change
        for i, value in enumerate(values):
            block.find_loop(f"_atom_site.{column}")[i] = value
    for name in without:
        loop.remove_column(f"_atom_site.{name}")
    path = tmp_path / "model.cif"
    path.write_text(document.as_string())
    return path


def atoms(model):
    return [
        (
            site.chain.name,
            str(site.residue.seqid),
            site.residue.name,
            site.atom.name,
            site.atom.element.name,
            site.atom.pos.tolist(),
            site.atom.occ,
        )
        for site in model.structure[0].all()
    ]


@pytest.mark.parametrize(
    "without",
    [
        ("type_symbol",),
        ("label_atom_id",),
        (
            "label_comp_id",
            "label_asym_id",
            "label_atom_id",
            "label_seq_id",
            "label_alt_id",
            "label_entity_id",
        ),
        ("id",),
        ("occupancy",),
        ("B_iso_or_equiv",),
        ("group_PDB", "pdbx_PDB_model_num"),
        ("label_alt_id",),
    ],
)
def test_columns_that_can_be_made_up_for_are_not_missed(tmp_path, without):
    if "label_atom_id" in without:  # what takes its place
        document = small_model(18).make_mmcif_document()
        block = document.sole_block()
        loop = block.find_loop("_atom_site.id").get_loop()
        for name in ("atom", "comp"):
            values = list(block.find_values(f"_atom_site.label_{name}_id"))
            if not block.find_values(f"_atom_site.auth_{name}_id"):
                loop.add_columns([f"_atom_site.auth_{name}_id"], "?")
            for i, value in enumerate(values):
                block.find_values(f"_atom_site.auth_{name}_id")[i] = value
        for name in without:
            loop.remove_column(f"_atom_site.{name}")
        path = tmp_path / "model.cif"
        path.write_text(document.as_string())
    else:
        path = written(tmp_path, without=without)
    plain = read_model(written(tmp_path / "..", without=()))
    assert atoms(read_model(path)) == atoms(plain)


def test_label_columns_take_the_place_of_auth_columns(tmp_path):
    change = ("label_seq_id", [str(i // 8 + 1) for i in range(144)])
    path = written(tmp_path, without=("auth_asym_id", "auth_seq_id"), change=change)
    found, expected = atoms(read_model(path)), atoms(read_model(written(tmp_path)))
    assert [atom[1:] for atom in found] == [atom[1:] for atom in expected]
    assert {atom[0] for atom in found} == {"Axp"}  # what gemmi calls the subchain


@pytest.mark.parametrize(
    "without",
    [
        ("Cartn_y",),
        ("Cartn_z",),
        ("auth_seq_id", "label_seq_id"),
        ("label_comp_id", "auth_comp_id"),
    ],
)
def test_column_that_cannot_be_made_up_for_is_named(tmp_path, without):
    present = [name for name in without if name != "auth_comp_id"]
    with pytest.raises(
        InputError,
        match=f"atoms without the column _atom_site.{without[0]}. Write "
        "the file again with this column",
    ):
        read_model(written(tmp_path, without=present))


def test_charge_beside_the_element_is_left_out(tmp_path):
    plain = read_model(written(tmp_path))
    symbols = [site.atom.element.name for site in plain.structure[0].all()]
    charged = [name + "1-" if name == "O" else name.upper() + "+" for name in symbols]
    model = read_model(written(tmp_path, change=("type_symbol", charged)))
    assert model.elements.tolist() == symbols
    assert model.findings == ()


def test_element_of_a_ligand_without_its_column_is_refused_where_unclear(tmp_path):
    path = written(tmp_path, without=("type_symbol",))
    path.write_text(path.read_text().replace(" CA ", " CD ").replace(" LEU ", " LIG "))
    with pytest.raises(
        InputError,
        match=r"unclear \(CD of LIG; .*Give the elements in a column "
        "_atom_site.type_symbol",
    ):
        read_model(path)


def test_long_chain_is_one_chain(tmp_path):
    structure = gemmi.Structure()
    structure.add_model(small_model(3)[0].clone())
    structure[0].remove_chain("A")
    chain = gemmi.Chain("B-1")
    for number in range(2500):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "HOH", gemmi.SeqId(str(number + 1))
        atom = gemmi.Atom()
        atom.name, atom.element = "O", gemmi.Element("O")
        atom.pos = gemmi.Position(3.0 * (number % 50), 3.0 * (number // 50), 0)
        residue.add_atom(atom)
        chain.add_residue(residue)
    structure[0].add_chain(chain)
    structure.setup_entities()
    path = tmp_path / "model.cif"
    path.write_text(structure.make_mmcif_document().as_string())
    model = read_model(path)
    assert [chain.name for chain in model.structure[0]] == ["B-1"]
    assert [residue.seqid.num for residue in model.structure[0][0]] == list(range(1, 2501))


def test_chains_that_take_turns_row_by_row_are_read_as_chains(tmp_path):
    plain = small_model(9).make_mmcif_document()
    loop = plain.sole_block().find_loop("_atom_site.id").get_loop()
    rows = [
        list(loop.values[i * loop.width() : (i + 1) * loop.width()]) for i in range(loop.length())
    ]
    place = {tag.split(".")[1]: i for i, tag in enumerate(loop.tags)}
    many = []
    for copy in range(30):
        for row in rows:
            for name, turn in (("A", 0), ("B", 500)):
                new = list(row)
                new[place["auth_asym_id"]] = new[place["label_asym_id"]] = name
                new[place["Cartn_x"]] = f"{float(row[place['Cartn_x']]) + 40 * copy:.3f}"
                new[place["Cartn_y"]] = f"{float(row[place['Cartn_y']]) + turn:.3f}"
                new[place["auth_seq_id"]] = str(int(row[place["auth_seq_id"]]) + 9 * copy)
                many.append(new)
    loop.set_all_values([list(column) for column in zip(*many, strict=True)])
    path = tmp_path / "model.cif"
    path.write_text(plain.as_string())
    model = read_model(path)
    assert [(chain.name, len(chain)) for chain in model.structure[0]] == [("A", 270), ("B", 270)]
    assert len(model) == 2 * 30 * 72
    assert (model.positions[model.chain_index == 1, 1] > 400).all()
