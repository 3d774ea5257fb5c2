"""Chains that are still held when their model is closed: ChimeraX 1.7.1 frees them once too often.

A chain outlives its model as a plain Sequence.  Where a reference cycle holds it, the garbage
collector calls its ``__del__``, which gives back a reference that nobody has taken: the chain is
freed while the cycle still points to it, and the process crashes in that collection or in a later
one, whatever it does then.  Saving a model as mmCIF leaves such a cycle.
"""

import ctypes
import weakref

_demoted = []


def watch():
    """Note every chain that outlives its model from now on."""
    from chimerax.atomic import StructureSeq

    demote = StructureSeq._cpp_seq_demotion

    def note(chain):
        _demoted.append(weakref.ref(chain))
        demote(chain)

    StructureSeq._cpp_seq_demotion = note


def take_left():
    """Return the names of the chains that are held after all; they can do no harm from now on."""
    left = [chain for chain in (reference() for reference in _demoted) if chain is not None]
    _demoted.clear()
    for chain in left:  # the reference that ChimeraX will give back
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(chain))
    return [chain.name for chain in left]
