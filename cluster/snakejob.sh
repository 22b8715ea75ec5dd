#!/usr/bin/env bash
# The head job: a small job that runs Snakemake, which submits all others. From the repository's root:
#
#   sbatch cluster/snakejob.sh --config model_name=DyRCNNx4 experiment=contrast
#   tail -f logs/slurm/*.out
#
# Arguments are Snakemake's. Ended or killed, submit it again: it goes on. Options of sbatch, such as --time or --account,
# go before the name of this file; `cluster/snakejob.sh` without sbatch submits itself with those of cluster/site.yaml.
#
#SBATCH --job-name=dynvision
#SBATCH --output=logs/slurm/%x-%j.out
#SBATCH --open-mode=append
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
set -euo pipefail

say() { echo "snakejob: $*" >&2; }

# A Python that can read the site file: that of make install, of an environment that is active or that the file names, or
# any other. Which one the jobs use is said by the file itself.
find_python() {
    local place
    # shellcheck disable=SC2046  # any word of the file may be a place
    for place in .venv "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}" $(tr -d "\r\"'" <cluster/site.yaml); do
        place=${place/#\~/$HOME}/bin/python
        [ -x "$place" ] && "$place" -c "import dynvision.cluster.settings" 2>/dev/null && { echo "$place"; return; }
    done
    for place in python3 python; do
        "$place" -c "import dynvision.cluster.settings" 2>/dev/null && { echo "$place"; return; }
    done
    return 1
}

[ -e Snakefile ] || { say "submit from the repository's root"; exit 2; }
[ -e cluster/site.yaml ] || { say "copy cluster/site.example.yaml to cluster/site.yaml and fill it in"; exit 2; }

python=$(find_python) || { say "no Python here can read cluster/site.yaml; run make install, or activate its environment"; exit 2; }
setup='' environment='' partition='' account='' qos='' # as the file has them
variables=$("$python" -m dynvision.cluster.settings) || exit 2
eval "$variables"

if [ -z "${SLURM_JOB_ID:-}" ]; then
    options=()
    for name in partition account qos; do
        [ -z "${!name}" ] || options+=("--$name=${!name}")
    done
    exec sbatch "${options[@]}" cluster/snakejob.sh "$@"
fi

# Lines of others may use variables that are not set.
set +u; eval "$setup"; set -u

case ${environment:=.venv} in *.sif) environment=.venv ;; esac
python=$environment/bin/python
[ -x "$python" ] || { say "no Python in $environment; run make install, or set environment in cluster/site.yaml"; exit 2; }

say "head job $SLURM_JOB_ID on $(hostname)"
exec "$python" -m dynvision.cluster.head "$@"
