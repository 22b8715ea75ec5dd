#!/usr/bin/env bash
# Makes .venv and installs DynVision and everything that it needs, at the versions in requirements.lock.
#
# Variables that change what is done:
#   PYTHON            the interpreter to build on (default: the first of python3, python3.13, ... that is new enough)
#   TORCH_BUILD       cpu or gpu (default: gpu where nvidia-smi finds one, otherwise cpu)
#   TORCH_CPU_INDEX   where CPU builds of PyTorch are, asked only if pip's own sources offer none
#   APT               no leaves the packages of the system alone (default: FFCV's headers are installed where that is possible)
set -euo pipefail
cd "$(dirname "$0")/.."

TORCH_CPU_INDEX=${TORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}
VENV=.venv
STAMP=$VENV/.installed       # what was installed, written last
UNFINISHED=$VENV/.unfinished # there while pip is at work: if killed, it may have left half a package behind
NO_FFCV=$VENV/.without-ffcv  # there if FFCV could not be had: the system packages that were missing
SHIM=$VENV/opencv-shim
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH # pip would take what lies there for installed

say() { printf 'install: %s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }
pinned() { grep -E "^$1==" requirements.lock; }
pip() { "$VENV/bin/python" -m pip "$@"; }

# ---------------------------------------------------------------- what is there already

fingerprint() { { pwd -P; cat pyproject.toml requirements.lock scripts/install.sh; echo "${TORCH_BUILD:-}"; } | cksum; }

# The Debian packages that FFCV's build still lacks, by looking for what they bring.
missing_packages() {
    command -v c++ >/dev/null || echo g++
    [ -e "$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
        "$VENV/bin/python" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])'
    command -v pkg-config >/dev/null || echo pkg-config
    pkg-config --exists libturbojpeg 2>/dev/null || echo libturbojpeg0-dev
    pkg-config --exists opencv4 2>/dev/null || [ -e /usr/include/opencv4/opencv2/core.hpp ] || echo libopencv-core-dev
    pkg-config --exists opencv4 2>/dev/null || [ -e /usr/include/opencv4/opencv2/imgproc.hpp ] || echo libopencv-imgproc-dev
}

say_without_ffcv() {
    local remedy="see $VENV/ffcv.log for what failed, and try again with: make clean install"
    [ ! -s "$NO_FFCV" ] || remedy="to get FFCV on Debian or Ubuntu, run as root: apt-get install $(xargs <"$NO_FFCV")"
    say "FFCV is not installed, so data will be loaded with the torch loader; $remedy"
}

up_to_date() {
    [ -e "$STAMP" ] && [ ! -e "$UNFINISHED" ] && [ "$(cat "$STAMP")" = "$(fingerprint)" ] || return 1
    [ -e "$NO_FFCV" ] || return 0
    # Packages that came since then are a reason to try again.
    [ "$(missing_packages)" = "$(cat "$NO_FFCV")" ] && say_without_ffcv
}

# ---------------------------------------------------------------- the steps

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; name one with: make install PYTHON=/path/to/python3.12"
}

can_apt() {
    [ "${APT:-yes}" != no ] || return 1
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

apt_install() {
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    local install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive
        apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@")
    say "installing system packages: $*"
    # The package lists may be absent or old: they are fetched only if the first try fails.
    "${install[@]}" >"$VENV/apt.log" 2>&1 </dev/null && return
    "${root[@]}" apt-get -q update >>"$VENV/apt.log" 2>&1 </dev/null || true
    "${install[@]}" >>"$VENV/apt.log" 2>&1 </dev/null
}

make_venv() {
    if [ -e "$UNFINISHED" ]; then
        say "the last installation was not finished: starting $VENV anew"
        rm -rf "$VENV"
    fi
    mkdir -p "$VENV"
    touch "$UNFINISHED"
    if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        local python
        python=$(find_python)
        say "making $VENV with $("$python" --version)"
        if ! "$python" -c 'import ensurepip' 2>/dev/null; then
            local package
            package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
            { can_apt && apt_install "$package"; } ||
                fail "Python's venv module is incomplete; on Debian or Ubuntu, run as root: apt-get install $package"
        fi
        "$python" -m venv --clear "$VENV"
        touch "$UNFINISHED"
    fi
}

install_torch() {
    local torch build=${TORCH_BUILD:-}
    torch=$(pinned torch)
    if [ -z "$build" ]; then
        if nvidia-smi >/dev/null 2>&1; then build=gpu; else build=cpu; fi
    fi
    say "installing $torch ($build)"
    # Only Linux on x86-64 has two builds. The CPU one is marked '+cpu', so asking for that mark never brings in CUDA.
    if [ "$build" = gpu ] || [ "$(uname -sm)" != "Linux x86_64" ]; then
        pip install -qq --no-compile -c "$VENV/requirements.txt" "$torch"
    elif ! pip install -qq --no-compile --no-deps "$torch+cpu" 2>/dev/null; then
        say "pip's own sources offer no CPU build of PyTorch: looking in $TORCH_CPU_INDEX"
        pip install -qq --no-compile --no-deps --retries 1 --timeout 10 --index-url "$TORCH_CPU_INDEX" "$torch+cpu" \
            2>"$VENV/torch.log" ||
            fail "no CPU build of PyTorch could be had from $TORCH_CPU_INDEX (see $VENV/torch.log); name another source with TORCH_CPU_INDEX=..."
    fi
}

install_packages() {
    say "installing the packages in requirements.lock (a minute or two the first time)"
    pip install -qq --no-compile --no-deps -r "$VENV/requirements.txt"
}

# FFCV asks pkg-config for all of OpenCV (348 Debian packages) but uses only core and imgproc: these two files say that they are all of it.
write_opencv_shim() {
    mkdir -p "$SHIM/include/opencv2"
    printf '#include "opencv2/core.hpp"\n#include "opencv2/imgproc.hpp"\n' >"$SHIM/include/opencv2/opencv.hpp"
    cat >"$SHIM/opencv4.pc" <<END
Name: OpenCV
Description: core and imgproc only
Version: 4
Libs: -lopencv_imgproc -lopencv_core
Cflags: -I"$PWD/$SHIM/include" -I/usr/include/opencv4
END
}

# In a subshell, so that nobody else sees the changed PKG_CONFIG_PATH.
build_ffcv() (
    pkg-config --exists opencv4 || write_opencv_shim
    export PKG_CONFIG_PATH="$PWD/$SHIM${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    # Built anew, because a cached build may be linked to libraries that have since been replaced.
    pip install -q --no-cache-dir --no-compile --no-deps --no-build-isolation "$(pinned ffcv)" &&
        "$VENV/bin/python" -c 'import ctypes, sys, cv2; ctypes.CDLL(sys.argv[1])' \
            "$VENV"/lib/python*/site-packages/ffcv/_libffcv*.so
)

install_ffcv() {
    rm -f "$NO_FFCV"
    if [ -n "$(missing_packages)" ] && can_apt; then
        # shellcheck disable=SC2046  # one word a package
        apt_install $(missing_packages) || say "apt-get could not install them (see $VENV/apt.log)"
    fi
    if [ -z "$(missing_packages)" ]; then
        say "installing $(pinned ffcv)"
        build_ffcv >"$VENV/ffcv.log" 2>&1 && return
    fi
    missing_packages >"$NO_FFCV"
    pip uninstall -qq -y ffcv
    say_without_ffcv
}

install_dynvision() {
    say "installing dynvision itself, editable"
    pip install -qq --no-compile --no-deps --no-build-isolation -e .
}

compile_bytecode() {
    say "byte-compiling, so that every later command starts sooner"
    # A few packages ship templates that are not valid Python: they are skipped.
    "$VENV/bin/python" -m compileall -qq -j 0 "$VENV"/lib/python*/site-packages || true
}

main() {
    exec 9>.install.lock
    if command -v flock >/dev/null && ! flock -n 9; then
        say "waiting for another installation to end"
        flock 9
    fi
    if up_to_date; then
        say "$VENV is up to date"
        return
    fi
    local start=$SECONDS print
    print=$(fingerprint)
    make_venv
    rm -f "$STAMP"
    # torch and FFCV need more than a plain install: they have steps of their own.
    grep -Ev '^(torch|ffcv)==' requirements.lock >"$VENV/requirements.txt"
    install_torch # first, since it is the likeliest to fail
    install_packages
    install_ffcv
    install_dynvision
    rm -f "$UNFINISHED"
    compile_bytecode
    echo "$print" >"$STAMP"
    say "done in $((SECONDS - start)) s"
}

main
