# Figures, each as PNG, SVG and the CSV of what was drawn. The visualization's `figures` states which figures an experiment gets.

WEIGHTS = f"{RESULTS}/runs/{{run_id}}/weights.json"


rule freeze_visualization:
    output:
        update(VISUALIZATION),
    log:
        f"{SHOWN}/logs/freeze_visualization.log",
    benchmark:
        f"{SHOWN}/benchmarks/freeze_visualization.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        values=PLAN.workflow.model_dump_json(include={"visualization", "scorecard"}),
    message:
        "freeze the look of figures"
    shell:
        "dynvision config freeze-visualization {params.values:q} --output {output:q} 2>&1 | tee -i {log:q}"


# A rule for each experiment, since each has figures of its own. The runs are given by name: a thousand paths are too long for
# a command.
for NAME in EXPERIMENTS:

    rule:
        name:
            f"plot_{NAME}"
        input:
            known(
                f"{SHOWN}/figures/{NAME}/figures.json",
                f"{RESULTS}/experiments/{NAME}/config.yaml",
                *expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS),
                *expand(OF_EXPERIMENTS, experiment=[NAME, *PLAN.twins(NAME)], run_id=RUNS),
            ),
            visualization=known(f"{SHOWN}/figures/{NAME}/figures.json", VISUALIZATION),
        output:
            drawn(NAME, PLAN.figures(NAME), category="Experiments", subcategory=NAME),
        log:
            f"{SHOWN}/logs/plot/{NAME}.log",
        benchmark:
            f"{SHOWN}/benchmarks/plot/{NAME}.tsv"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            experiment=NAME,
            runs=RUNS,
            figures=PLAN.figures(NAME),
        message:
            f"draw the figures of {NAME}"
        shell:
            "dynvision plot --results {RESULTS:q} {OF_STUDY} --experiment {params.experiment:q} --run-ids {params.runs:q}"
            " --figures {params.figures:q} --visualization {input.visualization:q} 2>&1 | tee -i {log:q}"


rule plot_dynamics:
    input:
        known(
            f"{SHOWN}/figures/dynamics/figures.json",
            *expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS),
            *expand(f"{RESULTS}/dynamics/{{run_id}}/{{table}}.parquet", run_id=RUNS, table=DYNAMICS),
        ),
        visualization=known(f"{SHOWN}/figures/dynamics/figures.json", VISUALIZATION),
    output:
        drawn("dynamics", OF_DYNAMICS, category="Runs"),
    log:
        f"{SHOWN}/logs/plot/dynamics.log",
    benchmark:
        f"{SHOWN}/benchmarks/plot/dynamics.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        runs=RUNS,
        figures=OF_DYNAMICS,
    message:
        "draw the dynamics of the runs"
    shell:
        "dynvision plot --dynamics --results {RESULTS:q} {OF_STUDY} --run-ids {params.runs:q} --figures {params.figures:q}"
        " --visualization {input.visualization:q} 2>&1 | tee -i {log:q}"


rule weights:
    input:
        config=known(WEIGHTS, f"{RESULTS}/runs/{{run_id}}/config.yaml"),
        weights=known(WEIGHTS, f"{RESULTS}/runs/{{run_id}}/model.safetensors"),
    output:
        table=update(f"{RESULTS}/runs/{{run_id}}/weights.parquet"),
        record=WEIGHTS,
    log:
        f"{RESULTS}/logs/weights/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/weights/{{run_id}}.tsv"
    group:
        "train"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    message:
        "describe the weights of {wildcards.run_id}"
    shell:
        "dynvision weights distributions --weights {input.weights:q} --config {input.config:q} --output {output.table:q}"
        " 2>&1 | tee -i {log:q}"


rule plot_training:
    input:
        known(f"{SHOWN}/figures/training/figures.json", *expand(OF_TRAININGS, run_id=RUNS)),
        visualization=known(f"{SHOWN}/figures/training/figures.json", VISUALIZATION),
    output:
        drawn("training", OF_RUNS, category="Runs"),
    log:
        f"{SHOWN}/logs/plot/training.log",
    benchmark:
        f"{SHOWN}/benchmarks/plot/training.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        runs=RUNS,
        figures=OF_RUNS,
    message:
        "draw the training and the weights"
    shell:
        "dynvision plot --training --results {RESULTS:q} {OF_STUDY} --run-ids {params.runs:q} --figures {params.figures:q}"
        " --visualization {input.visualization:q} 2>&1 | tee -i {log:q}"
