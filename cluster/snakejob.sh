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

# A value of the site file; each is on one line.
site() {
    sed -nE "s/^$1:[[:space:]]*//p" cluster/site.yaml | sed -E "s/[[:space:]]+#.*\$//; s/^([\"'])(.*)\1\$/\2/" | tail -n 1
}

[ -e Snakefile ] || { say "submit from the repository's root"; exit 2; }
[ -e cluster/site.yaml ] || { say "copy cluster/site.example.yaml to cluster/site.yaml and fill it in"; exit 2; }

if [ -z "${SLURM_JOB_ID:-}" ]; then
    options=()
    for name in partition account qos; do
        value=$(site $name)
        [ -z "$value" ] || options+=("--$name=$value")
    done
    exec sbatch "${options[@]}" cluster/snakejob.sh "$@"
fi

setup=$(site setup)
# Lines of others may use variables that are not set.
set +u; eval "$setup"; set -u

environment=$(site environment)
case ${environment:=.venv} in *.sif) environment=.venv ;; esac
python=$environment/bin/python
[ -x "$python" ] || { say "no Python in $environment; run make install, or set environment in cluster/site.yaml"; exit 2; }

say "head job $SLURM_JOB_ID on $(hostname)"
exec "$python" -m dynvision.cluster.head "$@"
