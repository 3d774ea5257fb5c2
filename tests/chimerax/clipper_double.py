"""What Clipper does to maps and a model that are associated, in the real ChimeraX core.

After Clipper 0.22.2: a Volume of its own is made from the same grid data, once the first was
closed; it follows the values by a callback on the data; it shows a box alone, at the origin of the
scene; maps and model go into groups.  Level, color and position are not taken over.
"""

from contextlib import ExitStack

from chimerax.core.commands import CmdDesc, ModelsArg, register
from chimerax.core.models import Model
from chimerax.map import Volume


class TakenOverMap(Volume):
    """As Clipper's NXmapHandler."""

    def __init__(self, session, data, name):
        super().__init__(session, data)
        self.name = name
        self.updates = []
        data.add_change_callback(self._values_changed)
        self.new_region((2, 2, 2), (12, 12, 12), (1, 1, 1))  # a box around the center
        self.set_parameters(surface_levels=[3.0])

    def _values_changed(self, reason):
        self.updates.append(reason)

    @classmethod
    def restore_snapshot(cls, session, data):
        from chimerax.map.session import set_map_state

        volume = cls(session, data["grid data state"].grid_data, "")
        Model.set_state_from_snapshot(volume, session, data["model state"])
        set_map_state(data["volume state"], volume)
        return volume


def associate(session, volumes, structure=None, *, late=False):
    """Take maps and a model over.

    Parameters
    ----------
    late : bool
        "remove models" comes after "add models", as where ISOLDE holds triggers up.

    Returns
    -------
    list of TakenOverMap
    """
    triggers = session.triggers
    group, manager, maps = (Model(name, session) for name in ("manager", "map manager", "maps"))
    group.add([manager])
    manager.add([maps])
    taken = []
    with ExitStack() as held_up:
        if late:
            held_up.enter_context(triggers.block_trigger("remove models"))
        if structure is not None:
            structure.atoms.coords = structure.atoms.scene_coords
            structure.position = structure.position.inverse() * structure.position
            session.models.remove([structure])
            group.add([structure])
        for volume in volumes:
            data, name = volume.data, volume.name
            session.models.close([volume])
            taken.append(TakenOverMap(session, data, name))
        maps.add(taken)
        session.models.add([group])
    return taken


def register_command(session):
    """Make ``clipper associate`` a command."""

    def clipper_associate(session, volumes, to_model=None):
        return associate(
            session,
            [model for model in volumes if type(model) is Volume],
            next(iter(to_model), None),
        )

    description = CmdDesc(required=[("volumes", ModelsArg)], keyword=[("to_model", ModelsArg)])
    register("clipper associate", description, clipper_associate, logger=session.logger)
