"""A headless session of the real UCSF ChimeraX core, for tests.

The Python package index holds ``ChimeraX==0.1.71``: the Python and compiled
parts of ChimeraX 1.7.1 except the graphical interface (``chimerax.ui``) and
the text interface (``chimerax.core.nogui``).  This module supplies the little
that is missing around it, so that a bundle's tests run in the real command
parser, toolshed, model tree, ``Volume`` and ``AtomicStructure``::

    from chimerax_core import start_session, run, process_events

    session = start_session()
    maps = run(session, "open half1.mrc half2.mrc")
    result = run(session, "toy hello #1 #2")

What is stood in for, and only that:

* the package ``chimerax`` itself (its ``__init__`` in that wheel imports parts
  that the wheel lacks), with the directories that the start-up code of the
  application would have set on it;
* ``chimerax.core.nogui``, by :class:`HeadlessUI` and :class:`RecordingLog`;
* the bundle metadata of ChimeraX's own bundles, which that wheel does not
  carry: :data:`CORE_BUNDLES` names the commands, managers and file formats
  that tests of a map bundle need.  Bundles under test are NOT listed there:
  the real toolshed finds them by their installed wheels.

One session per process: ChimeraX keeps its toolshed and command table in
module globals.
"""

import collections
import collections.abc
import importlib.util
import os
import queue
import shutil
import site
import sys
import tempfile
import threading
import time
import types

__all__ = ["CORE_BUNDLES", "HeadlessUI", "build_wheel", "install_stand_ins",
           "process_events", "run", "start_session"]

VERSION = "1.7.1"           # the ChimeraX release inside the wheel
_DEAD_URL = "http://127.0.0.1:9/"   # no toolshed server is ever asked


# ---------------------------------------------------------------------------
# ChimeraX's own bundles, as far as a map bundle's tests use them.
# One entry: distribution name, package, and then any of
#   commands   names that the bundle registers when first used
#   managers   managers that it creates
#   after      bundles whose managers must exist before its own
#   init       True where the bundle has start-up code of its own
#   selectors  names for atom specifiers, such as "sel" or "protein"
#   formats    {file format: (nickname, category, suffixes)}
#   opens, saves   the formats that it reads and writes, with provider options

_MAP_FORMATS = {
    "MRC density map": ("mrc", "Volume data", ".mrc"),
    "CCP4 density map": ("ccp4", "Volume data", ".ccp4,.map"),
    "Chimera map": ("cmap", "Volume data", ".cmap,.cmp"),
}
_PATH = {"want_path": "true"}
_PATHS = {"want_path": "true", "batch": "true"}

CORE_BUNDLES = [
    dict(name="ChimeraX-Core", package="chimerax.core"),
    # bare entries: session files name the bundle that each saved class is in
    dict(name="ChimeraX-Graphics", package="chimerax.graphics"),
    dict(name="ChimeraX-Geometry", package="chimerax.geometry"),
    dict(name="ChimeraX-DataFormats", package="chimerax.data_formats",
         managers=["data formats"]),
    dict(name="ChimeraX-OpenCommand", package="chimerax.open_command",
         managers=["open command"], after=["ChimeraX-DataFormats"],
         commands=["open", "usage open"]),
    dict(name="ChimeraX-SaveCommand", package="chimerax.save_command",
         managers=["save command"], after=["ChimeraX-DataFormats"],
         commands=["save", "usage save"]),
    dict(name="ChimeraX-PresetMgr", package="chimerax.preset_mgr",
         managers=["presets"], commands=["preset"]),
    dict(name="ChimeraX-MapData", package="chimerax.map_data",
         formats=_MAP_FORMATS),
    dict(name="ChimeraX-Map", package="chimerax.map", init=True,
         commands=["volume", "molmap", "measure mapstats",
                   "measure mapvalues"],
         opens=dict.fromkeys(_MAP_FORMATS, _PATHS),
         saves=dict.fromkeys(_MAP_FORMATS, {})),
    dict(name="ChimeraX-MapFilter", package="chimerax.map_filter",
         commands=["volume " + word for word in (
             "add", "bin", "copy", "cover", "flip", "fourier", "gaussian",
             "maximum", "minimum", "multiply", "new", "permuteAxes",
             "resample", "scale", "sharpen", "subtract", "threshold",
             "zone")]),
    dict(name="ChimeraX-MapFit", package="chimerax.map_fit",
         commands=["fitmap"]),
    dict(name="ChimeraX-Mask", package="chimerax.mask",
         commands=["volume mask", "volume onesmask"]),
    dict(name="ChimeraX-Surface", package="chimerax.surface", init=True,
         commands=["surface", "surface dust", "surface zone",
                   "color sample", "measure volume"]),
    dict(name="ChimeraX-Atomic", package="chimerax.atomic", init=True,
         commands=["log chains", "combine"],
         selectors=["protein", "nucleic", "ligand", "solvent", "ions",
                    "backbone", "sidechain", "helix", "strand", "coil"]),
    dict(name="ChimeraX-PDB", package="chimerax.pdb",
         formats={"PDB": ("", "Molecular structure", ".pdb,.ent")},
         opens={"PDB": {}}, saves={"PDB": {"compression_okay": "false"}}),
    dict(name="ChimeraX-mmCIF", package="chimerax.mmcif",
         formats={"mmCIF": ("", "Molecular structure", ".cif,.mmcif")},
         opens={"mmCIF": _PATH}, saves={"mmCIF": {"compression_okay": "false"}}),
    dict(name="ChimeraX-CoreFormats", package="chimerax.core_formats",
         formats={"ChimeraX session": ("session", "Session", ".cxs"),
                  "ChimeraX commands": ("cmd", "Command script", ".cxc"),
                  "Python": ("", "Command script", ".py")},
         opens={"ChimeraX session": _PATH, "ChimeraX commands": _PATH,
                "Python": {}},
         saves={"ChimeraX session": {"compression_okay": "false"}}),
    dict(name="ChimeraX-ListInfo", package="chimerax.list_info",
         commands=["info"]),
    dict(name="ChimeraX-Log", package="chimerax.log",
         commands=["log", "echo"]),
    dict(name="ChimeraX-TaskManager", package="chimerax.taskmanager",
         commands=["taskman"]),
    dict(name="ChimeraX-StdCommands", package="chimerax.std_commands",
         init=True, commands=[
             "alias", "align", "camera", "cartoon", "cd", "clip", "close",
             "cofr", "color", "delete", "exit", "hide", "lighting",
             "measure center", "measure correlation", "measure rotation",
             "measure symmetry", "move", "pwd", "rename", "runscript",
             "select", "~select", "set", "setattr", "show", "split", "style",
             "sym", "transparency", "turn", "undo", "redo", "usage",
             "version", "view", "wait", "windowsize", "zoom"],
         selectors=["all", "sel"]),
]


# ---------------------------------------------------------------------------
# Stand-ins


class HeadlessUI:
    """What the core asks of ``session.ui`` when there is no window.

    ``thread_safe(func, *args, **kw)`` keeps the rule that the graphical
    interface has: work handed over by another thread waits until the main
    thread takes it up, here in :func:`process_events`.  Called on the main
    thread, the function runs at once.  With ``immediate = True`` it always
    runs at once, in whichever thread asked, as ``ChimeraX --nogui --script``
    does while a script runs.
    """

    is_gui = False
    has_graphics = False
    main_window = None
    stereo = False
    autostart_tools = False

    def __init__(self, session):
        from chimerax.core.triggerset import TriggerSet
        self.immediate = False
        self.triggers = TriggerSet()
        for name in ("ready", "tool window show", "tool window hide"):
            self.triggers.add_trigger(name)
        self._main_thread = threading.current_thread()
        self._waiting = queue.SimpleQueue()

    def thread_safe(self, func, *args, **kw):
        if self.immediate or threading.current_thread() is self._main_thread:
            func(*args, **kw)
        else:
            self._waiting.put((func, args, kw))

    def take_one(self, timeout):
        """Run one waiting call; return False when none came in ``timeout`` s."""
        try:
            func, args, kw = self._waiting.get(timeout=timeout)
        except queue.Empty:
            return False
        func(*args, **kw)
        return True

    def initialize_color_output(self, color_output):
        pass

    def initialize_offscreen_rendering(self):
        raise RuntimeError("no offscreen rendering in this session")

    def splash_info(self, message, splash_step=None, num_splash_steps=None):
        pass

    def build(self):
        pass

    def event_loop(self):
        pass

    def quit(self):
        raise SystemExit(0)


def install_stand_ins(home):
    """Make ``import chimerax.core`` work; user files go under ``home``.

    Must run before anything imports ``chimerax``.
    """
    if "chimerax" in sys.modules:
        if hasattr(sys.modules["chimerax"], "app_dirs"):
            return
        raise RuntimeError("chimerax was imported before chimerax_core")
    spec = importlib.util.find_spec("chimerax")   # finds it, runs nothing
    if spec is None:
        raise ModuleNotFoundError(
            "the ChimeraX wheel is not installed; see make_env.sh")

    package = types.ModuleType("chimerax")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    package.app_bin_dir = os.path.join(home, "bin")
    package.app_lib_dir = os.path.join(home, "lib")
    package.app_data_dir = os.path.join(home, "share")
    package.app_dirs = _app_dirs(home, VERSION.rpartition(".")[0])
    package.app_dirs_unversioned = _app_dirs(home, "")
    sys.modules["chimerax"] = package

    # "--user" installs and the toolshed's search path stay under ``home``.
    site.USER_BASE = package.app_dirs.user_data_dir
    site.USER_SITE = os.path.join(
        site.USER_BASE, "lib", "python%d.%d" % sys.version_info[:2],
        "site-packages")
    package.__path__.append(os.path.join(site.USER_SITE, "chimerax"))

    # The atom-specifier parser (grako) was written for an older Python.
    for name in ("Callable", "Iterable", "Mapping", "MutableMapping",
                 "MutableSequence", "Sequence", "Set"):
        if not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))

    nogui = types.ModuleType("chimerax.core.nogui")
    nogui.UI = HeadlessUI
    sys.modules["chimerax.core.nogui"] = nogui


def _app_dirs(home, version):
    dirs = types.SimpleNamespace(appname="ChimeraX", appauthor="UCSF",
                                 version=version)
    for kind in ("data", "config", "cache", "log", "state"):
        path = os.path.join(home, "user", kind, version)
        os.makedirs(path, exist_ok=True)
        setattr(dirs, "user_%s_dir" % kind, path)
        setattr(dirs, "site_%s_dir" % kind, path)
    return dirs


def _make_log():
    from chimerax.core.logger import PlainTextLog

    class RecordingLog(PlainTextLog):
        """Keeps what the session reported.

        ``messages``: list of (level, text), level one of "info", "warning",
        "error", "bug"; ``statuses``: texts of the status line.
        """

        names = {PlainTextLog.LEVEL_INFO: "info",
                 PlainTextLog.LEVEL_WARNING: "warning",
                 PlainTextLog.LEVEL_ERROR: "error",
                 PlainTextLog.LEVEL_BUG: "bug"}

        def __init__(self, echo):
            self.echo = echo
            self.messages = []
            self.statuses = []

        def log(self, level, msg):
            self.messages.append((self.names[level], msg))
            if self.echo:
                print("%s: %s" % self.messages[-1], file=sys.__stdout__)
            return True

        def status(self, msg, color, secondary):
            if msg and not secondary:
                self.statuses.append(msg)
            return True

        def text(self, *levels):
            """All messages of the given levels (default: all) as one text."""
            return "\n".join(msg for level, msg in self.messages
                             if not levels or level in levels)

    return RecordingLog


def _core_bundle_infos():
    from chimerax.core.toolshed.info import (BundleInfo, CommandInfo,
                                             SelectorInfo)
    infos = []
    for entry in CORE_BUNDLES:
        if importlib.util.find_spec(entry["package"]) is None:
            continue
        providers = {}
        for name, (nick, category, suffixes) in entry.get("formats", {}).items():
            keys = dict(category=category, suffixes=suffixes)
            if nick:
                keys["nicknames"] = nick
            providers["data formats/" + name] = keys
        for name, keys in entry.get("opens", {}).items():
            providers["open command/" + name] = dict(keys)
        for name, keys in entry.get("saves", {}).items():
            providers["save command/" + name] = dict(keys)
        after = entry.get("after")
        info = BundleInfo(
            entry["name"], True, version=VERSION,
            api_package_name=entry["package"],
            packages=[tuple(entry["package"].split("."))],
            categories=["General"], synopsis="part of ChimeraX",
            session_versions=range(1, 4),
            custom_init=entry.get("init", False),
            managers={name: {} for name in entry.get("managers", ())},
            providers=providers,
            inits={"manager": after} if after else None)
        info.commands = [CommandInfo(name, ["General"], name)
                         for name in entry.get("commands", ())]
        info.selectors = [SelectorInfo(name, name)
                          for name in entry.get("selectors", ())]
        infos.append(info)
    return infos


def _let_toolshed_find_core_bundles():
    """The toolshed finds bundles by their distributions; add ours in front."""
    from chimerax.core.toolshed.installed import InstalledBundleCache
    scan = InstalledBundleCache.load

    def load(self, *args, **kw):
        scan(self, *args, **kw)
        found = {info.name for info in self}
        self[:0] = [info for info in _core_bundle_infos()
                    if info.name not in found]

    InstalledBundleCache.load = load


# ---------------------------------------------------------------------------
# What tests call


def build_wheel(bundle_folder, out_folder):
    """Build a bundle's wheel with ChimeraX's own bundle builder.

    Works on a copy, so the source tree stays as it was; returns the wheel's
    path in ``out_folder``.  It takes ``bundle_info.xml`` where there is one,
    else ``pyproject.toml``, as ``devel build`` does.  Install the result with
    ``pip install --no-deps`` (the distributions that a bundle depends on, such
    as ChimeraX-Core, exist only inside the application), BEFORE
    :func:`start_session` of the process that is to find it.
    """
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        install_stand_ins(os.path.join(scratch, "home"))
        from chimerax.bundle_builder import BundleBuilder, BundleBuilderTOML
        from chimerax.core.logger import Logger
        source = os.path.join(scratch, "bundle")
        shutil.copytree(bundle_folder, source, ignore=shutil.ignore_patterns(
            ".*", "build", "dist", "*.egg-info", "__pycache__"))
        log = Logger(None)
        log.add_log(_make_log()(echo=True))
        has_xml = os.path.exists(os.path.join(source, "bundle_info.xml"))
        kind = BundleBuilder if has_xml else BundleBuilderTOML
        back = os.getcwd()
        try:
            kind(log, source).make_wheel()
        finally:
            os.chdir(back)
        wheel, = (name for name in os.listdir(os.path.join(source, "dist"))
                  if name.endswith(".whl"))
        os.makedirs(out_folder, exist_ok=True)
        return shutil.copy(os.path.join(source, "dist", wheel), out_folder)


def start_session(home=None, *, echo=False):
    """Start the one headless session of this process and return it.

    home: folder for ChimeraX's user files (settings, caches, ``--user``
        installs); a new temporary folder by default, so that no run sees
        what an earlier one left.
    echo: also print what the session logs.

    ``session.log`` is the :class:`RecordingLog`.
    """
    if home is None:
        home = tempfile.mkdtemp(prefix="chimerax-core-")
    install_stand_ins(os.path.abspath(home))

    from chimerax.core import attributes, core_settings, toolshed, tools, undo
    from chimerax.core.session import Session, register_misc_commands

    session = Session("ChimeraX")
    core_settings.init(session)
    register_misc_commands(session)
    attributes.RegAttrManager(session)
    session.log = _make_log()(echo)
    session.logger.add_log(session.log)

    _let_toolshed_find_core_bundles()
    toolshed.init(session.logger, rebuild_cache=True, check_available=False,
                  remote_url=_DEAD_URL, session=session)
    session.toolshed = toolshed.get_toolshed()
    session.toolshed.bootstrap_bundles(session, safe_mode=False)
    session.tools = tools.Tools(session, first=True)
    session.undo = undo.Undo(session, first=True)
    # Keep only complaints of the start-up.
    session.log.messages[:] = [entry for entry in session.log.messages
                               if entry[0] != "info"]
    return session


def run(session, command, **kw):
    """Run one ChimeraX command text; return what the command returns.

    Errors a user can cause are raised as ``chimerax.core.errors.UserError``.
    """
    from chimerax.core.commands import run as run_command
    return run_command(session, command, **kw)


def process_events(session, until=None, timeout=300.0):
    """Do on this (the main) thread what other threads handed to it.

    Takes up calls made through ``session.ui.thread_safe`` and fires the
    session's 'new frame' trigger, as the window's event loop does, until
    ``until()`` is true or ``timeout`` seconds have passed.  Without ``until``
    it does what is waiting now and returns.  Returns whether ``until()`` held.
    """
    end = time.monotonic() + timeout
    while True:
        while session.ui.take_one(timeout=0 if until is None else 0.02):
            pass
        session.triggers.activate_trigger("new frame", session)
        if until is None:
            return True
        if until():
            return True
        if time.monotonic() > end:
            return False


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] != "build":
        sys.exit("usage: python chimerax_core.py build BUNDLE_FOLDER OUT_FOLDER")
    print(build_wheel(sys.argv[2], sys.argv[3]))
