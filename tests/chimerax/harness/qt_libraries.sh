#!/bin/bash
# Make PyQt6 importable without a window: install the few system libraries that it needs where
# they are missing and this is Debian and root.  Never fails: without them the panel's tests say so.
#   qt_libraries.sh PYTHON
python=${1:?usage: qt_libraries.sh PYTHON}
works() { QT_QPA_PLATFORM=offscreen "$python" -c 'import PyQt6.QtWidgets' 2>/dev/null; }
works && exit 0
packages="libegl1 libgl1 libx11-6 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 fonts-dejavu-core"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing for PyQt6: $packages"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends $packages; } >/dev/null 2>&1
fi
works || echo "PyQt6 cannot be loaded; the tests of the panel need: $packages" >&2
exit 0
