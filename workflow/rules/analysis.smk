# Measures of the responses: tables in, tables out; the dynamics of the networks themselves (`snakemake dynamics`); and the
# comparison with cortex (`snakemake scorecard`), and with recordings.

SCORED = list(PLAN.workflow.scorecard_experiments())
DYNAMICS = list(DYNAMICS_TABLES)

DYNAMICS_RECORD = f"{RESULTS}/dynamics/{{run_id}}/dynamics.json"
SCORECARD = f"{RESULTS}/scorecard/{{run_id}}/scorecard.json"


rule analyse:
    input:
        experiment=known(METRICS, f"{RESULTS}/experiments/{{experiment}}/config.yaml"),
        responses=known(METRICS, f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/responses.parquet"),
        performance=known(METRICS, f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/performance.parquet"),
        record=known(METRICS, RESPONSES),
    output:
        metrics=update(f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/metrics.parquet"),
        summary=update(f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/summary.parquet"),
        record=METRICS,
    log:
        f"{RESULTS}/logs/analyse/{{experiment}}/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/analyse/{{experiment}}/{{run_id}}.tsv"
    group:
        "experiments_{run_id}"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    message:
        "measure {wildcards.experiment} of {wildcards.run_id}"
    shell:
        "dynvision analyse --experiment {input.experiment:q} --responses {input.responses:q}"
        " --performance {input.performance:q} --output {output.metrics:q} --summary {output.summary:q}"
        " 2>&1 | tee -i {log:q}"


rule dynamics_of_run:
    input:
        config=known(DYNAMICS_RECORD, f"{RESULTS}/runs/{{run_id}}/config.yaml"),
        weights=known(DYNAMICS_RECORD, f"{RESULTS}/runs/{{run_id}}/model.safetensors"),
        trained=known(DYNAMICS_RECORD, TRAINED),
        data=images_of(DYNAMICS_RECORD),
    output:
        update(expand(f"{RESULTS}/dynamics/{{{{run_id}}}}/{{table}}.parquet", table=DYNAMICS)),
        DYNAMICS_RECORD,
    log:
        f"{RESULTS}/logs/dynamics/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/dynamics/{{run_id}}.tsv"
    group:
        "experiments_{run_id}"
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        gpu=lambda wildcards: REQUESTS.experiment(wildcards.run_id).gpu,
    message:
        "analyse the dynamics of {wildcards.run_id}"
    shell:
        "dynvision dynamics {wildcards.run_id:q} --results {RESULTS:q} {EXECUTION} 2>&1 | tee -i {log:q}"


rule dynamics:
    input:
        expand(f"{RESULTS}/dynamics/{{run_id}}/{{table}}.parquet", run_id=RUNS, table=DYNAMICS),
        expand(f"{SHOWN}/figures/dynamics/{{figure}}.{{format}}", figure=OF_DYNAMICS, format=FORMATS),
    localrule: True
    message:
        "dynamics done: tables in {RESULTS}/dynamics, figures in {SHOWN}/figures/dynamics"


rule scorecard_of_run:
    input:
        config=known(SCORECARD, f"{RESULTS}/runs/{{run_id}}/config.yaml"),
        experiments=known(
            SCORECARD, *expand(f"{RESULTS}/experiments/{{experiment}}/config.yaml", experiment=SCORED)
        ),
        responses=known(
            SCORECARD,
            *expand(
                f"{RESULTS}/experiments/{{experiment}}/{{{{run_id}}}}/responses.{{format}}",
                experiment=SCORED,
                format=["parquet", "json"],
            ),
        ),
        visualization=known(SCORECARD, VISUALIZATION),
    output:
        update(
            expand(
                f"{RESULTS}/scorecard/{{{{run_id}}}}/scorecard.{{format}}",
                format=["parquet", "txt", "csv", "png", "svg"],
            )
        ),
        SCORECARD,
    log:
        f"{RESULTS}/logs/scorecard/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/scorecard/{{run_id}}.tsv"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=60,
    params:
        settings=PLAN.workflow.scorecard.model_dump_json(),
    message:
        "compare {wildcards.run_id} with cortex"
    shell:
        "dynvision scorecard {wildcards.run_id:q} --results {RESULTS:q} --settings {params.settings:q}"
        " --visualization {input.visualization:q} 2>&1 | tee -i {log:q}"


rule scorecard:
    input:
        expand(f"{RESULTS}/scorecard/{{run_id}}/scorecard.parquet", run_id=RUNS),
    localrule: True
    message:
        "scorecards done: table, text and figure of each run in {RESULTS}/scorecard"


# A rule for each comparison, since each is of an experiment of its own.
for NAME, COMPARISON in PLAN.comparisons.items():

    rule:
        name:
            f"compare_{NAME}"
        input:
            responses=known(
                f"{RESULTS}/comparisons/{NAME}/{{run_id}}/{made_from.COMPARED}",
                f"{RESULTS}/experiments/{COMPARISON.experiment}/{{run_id}}/responses.json",
            ),
            config=known(
                f"{RESULTS}/comparisons/{NAME}/{{run_id}}/{made_from.COMPARED}",
                f"{RESULTS}/runs/{{run_id}}/config.yaml",
            ),
            visualization=known(
                f"{RESULTS}/comparisons/{NAME}/{{run_id}}/{made_from.COMPARED}", VISUALIZATION
            ),
        output:
            [
                update(f"{RESULTS}/comparisons/{NAME}/{{run_id}}/{file}")
                for file in (*made_from.files_of(COMPARISON), made_from.COMPARED)
            ],
        log:
            f"{RESULTS}/logs/compare/{NAME}/{{run_id}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/compare/{NAME}/{{run_id}}.tsv"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=lambda wildcards, attempt: 60 * attempt,
        params:
            name=NAME,
            settings=lambda wildcards, name=NAME: PLAN.comparison(name, wildcards.run_id).model_dump_json(),
        message:
            f"compare {{wildcards.run_id}} with {NAME}"
        shell:
            "dynvision compare {wildcards.run_id:q} --name {params.name:q} --settings {params.settings:q}"
            " --results {RESULTS:q} --visualization {input.visualization:q} 2>&1 | tee -i {log:q}"
