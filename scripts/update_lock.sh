#!/usr/bin/env bash
# Rewrites requirements.lock from pyproject.toml. For developers; uv is fetched for the purpose and thrown away.
#
# Versions that still fit are kept. Arguments go to uv: --upgrade takes the newest of everything,
# --upgrade-package NAME of one package.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q uv

# FFCV's own requirements, named here because its source cannot be read without its system libraries;
# headless OpenCV, because the ordinary build needs a graphics library that servers lack.
printf '%s\n' numba opencv-python-headless pillow pytorch-pfn-extras setuptools tqdm >"$work/ffcv.in"

cp requirements.lock "$work/lock"
# Every extra except ffcv, which is what the line above is for.
extras=(dev doc export fast nwb recordings search share video wandb workflow)
"$work/venv/bin/uv" pip compile pyproject.toml "$work/ffcv.in" "${extras[@]/#/--extra=}" --universal --python-version 3.11 \
    --no-annotate --no-header --quiet --output-file "$work/lock" "$@"

{
    echo "# Every package at the version that is tested together, for Linux on x86-64 with Python 3.11 to 3.13."
    echo "# Made by scripts/update_lock.sh. Also good as constraints: pip install -c requirements.lock -e ."
    # CUDA libraries follow from the PyTorch build that scripts/install.sh chooses.
    # pyproject.toml names the platform, so of the conditions only those on the version of Python are kept.
    { grep -Ev '^(nvidia-|cuda-|triton)' "$work/lock"; echo "ffcv==1.0.2"; } |
        sed -E "s/^([^ ]+) ;.*(python_full_version [<>]=? '3\.1[1-4][^']*').*/\1 ; \2/; t; s/ .*//" |
        LC_ALL=C sort -f
} >requirements.lock
