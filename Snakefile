# snakemake --config model_name=DyRCNNx4 experiment=contrast
#
#   freeze_run -> convert -> train -> experiment -> analyse -> plot -> report
#
# The configuration in config/ and the values of --config are checked here, before any job is planned.

import atexit
import os
import logging
import shlex
import sys
import time
import warnings
from pathlib import Path

from snakemake.utils import min_version

from dynvision.config.yaml_text import check_given_once, given_values
from dynvision.config.visualization import DYNAMICS_FIGURES, ON_REQUEST, RUN_FIGURES
from dynvision.config.visualization import FIGURES as DRAWN_BY
from dynvision.errors import InputError
from dynvision.files import remove_abandoned
from dynvision.parameter_names import ChangedMeaning, warn_in_one_line
from dynvision.plugins import VARIABLE as PLUGINS
from dynvision.resources import Requests, commands_folder, config_folder
from dynvision.runs.forecast import print_forecast
from dynvision.runs import CallFolder, Freshness, failures, interrupt_once, made_from, plan_workflow, written

from dynvision.runs.freshness import DYNAMICS_TABLES, FORMATS

min_version("9.0")

# The commands that the rules call are first on the PATH. A job that is asked to stop waits for its command, which may have
# something to save, and for what it still has to print.
shell.prefix(
    f"trap '' TERM USR1; set -euo pipefail; export PATH={shlex.quote(str(commands_folder()))}:$PATH; "
)

if workflow.is_main_process:
    warn_in_one_line()
else:
    warnings.simplefilter("ignore", ChangedMeaning)
try:
    # As text, so that it is read like the files: Snakemake would guess what each value is.
    check_given_once(sys.argv)
    GIVEN = given_values(workflow.config_settings.config_args or [])
    PLAN = plan_workflow(config_folder(), GIVEN, workflow.overwrite_configfiles)
    PLAN.check_folders()
    REQUESTS = Requests(PLAN.runs, PLAN.workflow.execution)
    os.environ[PLUGINS] = os.pathsep.join(PLAN.workflow.plugins)  # the commands of all jobs import them, too
except (InputError, OSError) as error:
    sys.exit(f"dynvision: {error}")  # without the places in files that a WorkflowError would add

RESULTS = str(PLAN.paths.root)
SHOWN = str(PLAN.paths.of_study)  # what shows several runs: report, table of runs, figures
OF_STUDY = shlex.join(["--study", PLAN.paths.study] if PLAN.paths.study else [])
RUNS = list(PLAN.runs)
EXPERIMENTS = list(PLAN.experiments)
EXECUTION = PLAN.execution_options
STARTED = time.time()
OF_RUNS = list(RUN_FIGURES)
OF_DYNAMICS = [name for name in DYNAMICS_FIGURES if name not in ON_REQUEST]
LOADER = PLAN.workflow.execution.loader
TRAINED = f"{RESULTS}/runs/{{run_id}}/trained.json"
RESPONSES = f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/responses.json"
METRICS = f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/metrics.json"
REPORT = f"{SHOWN}/report.json"
COMPARISONS = list(PLAN.comparisons)
OF_COMPARISONS = [
    f"{RESULTS}/comparisons/{name}/{run_id}/{file}"
    for name, comparison in PLAN.comparisons.items()
    for run_id in RUNS
    for file in (*made_from.files_of(comparison), made_from.COMPARED)
]
VISUALIZATION = f"{SHOWN}/visualization.yaml"
# The records of each run: planning finds what is missing beside one, and has it made again with its record. Asking for
# every file as well would be most of the time that a large sweep is planned.
OF_TRAININGS = [
    f"{RESULTS}/runs/{{run_id}}/{file}" for file in ("config.yaml", made_from.TRAINED, made_from.WEIGHTS)
]
OF_EXPERIMENTS = [RESPONSES, METRICS]
FIGURES = [
    f"{SHOWN}/figures/{folder}/{figure}.{end}"
    for folder, figures in {**{name: PLAN.figures(name) for name in EXPERIMENTS}, "training": OF_RUNS}.items()
    for figure in figures
    for end in FORMATS
]


# Jobs read this file, too; only who has called looks around.
CALLS = CallFolder()
FRESHNESS = Freshness(PLAN)
if workflow.is_main_process:
    interrupt_once()
    # Of a job that fails at its first attempt there is nothing to restore, which is no news.
    logging.getLogger("snakemake.logging").addFilter(
        lambda said: not str(said.msg).startswith("Cannot restore ")
    )
    for sentence in CALLS.look_around():
        print(f"dynvision: {sentence}", file=sys.stderr, flush=True)
    FRESHNESS.look()
REPORTED = written(REPORT)


include: "workflow/rules/common.smk"


wildcard_constraints:
    run_id="[^/]+",
    data_id="[^/]+",
    experiment="[^/]+",


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/plots.smk"
include: "workflow/rules/report.smk"


# Where jobs are submitted, those of a group are one job; a few files of a whole workflow are written at once.
localrules:
    all,
    freeze_experiment,
    freeze_visualization,
    runs_table,


rule all:
    default_target: True
    input:
        known(REPORT),
        expand(OF_TRAININGS, run_id=RUNS),
        expand(OF_EXPERIMENTS, experiment=EXPERIMENTS, run_id=RUNS),
        OF_COMPARISONS,
        FIGURES,
        f"{SHOWN}/report.html",
        REPORT,
        f"{SHOWN}/runs.csv",
    message:
        "all done"


if workflow.is_main_process:
    atexit.register(print_forecast, workflow, PLAN)


onstart:
    if workflow.is_main_process:
        for sentence in CALLS.begin():
            print(f"dynvision: {sentence}", file=sys.stderr, flush=True)
        remove_abandoned(RESULTS)


onsuccess:
    if REPORTED != written(REPORT):  # other targets write none
        print(f"The report is {SHOWN}/report.html")


onerror:
    # Snakemake shows commands and files of a job that failed; what the user can fix is repeated below them.
    print(*failures({RESULTS, SHOWN}, STARTED), sep="\n", file=sys.stderr)
