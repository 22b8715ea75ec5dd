# Figures, each as PNG, SVG and the CSV of what was drawn. Which figures an experiment gets says the visualization's `figures`.

FORMATS = ["png", "svg", "csv"]
VISUALIZATION = f"{RESULTS}/visualization.yaml"
CAPTIONS = "../report"  # words for `snakemake --report`, from here


rule freeze_visualization:
    output:
        VISUALIZATION,
    log:
        f"{RESULTS}/logs/freeze_visualization.log",
    benchmark:
        f"{RESULTS}/benchmarks/freeze_visualization.tsv"
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
            experiment=f"{RESULTS}/experiments/{NAME}/config.yaml",
            configs=expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS),
            tables=expand(
                f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/{{table}}.parquet",
                experiment=NAME,
                run_id=RUNS,
                table=["responses", "performance", "metrics"],
            ),
            twins=expand(
                f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/performance.parquet",
                experiment=PLAN.twins(NAME),
                run_id=RUNS,
            ),
            visualization=VISUALIZATION,
        output:
            [
                report(
                    f"{RESULTS}/figures/{NAME}/{figure}.png",
                    caption=f"{CAPTIONS}/{figure}.rst",
                    category="Experiments",
                    subcategory=NAME,
                    labels={"experiment": NAME, "figure": figure},
                )
                for figure in PLAN.figures(NAME)
            ],
            expand(
                f"{RESULTS}/figures/{NAME}/{{figure}}.{{format}}",
                figure=PLAN.figures(NAME),
                format=["svg", "csv"],
            ),
        log:
            f"{RESULTS}/logs/plot/{NAME}.log",
        benchmark:
            f"{RESULTS}/benchmarks/plot/{NAME}.tsv"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            results=lambda wildcards, output: str(Path(output[0]).parents[2]),
            experiment=NAME,
            runs=RUNS,
            figures=PLAN.figures(NAME),
        message:
            f"draw the figures of {NAME}"
        shell:
            "dynvision plot --results {params.results:q} --experiment {params.experiment:q} --run-ids {params.runs:q}"
            " --figures {params.figures:q} --visualization {input.visualization:q} 2>&1 | tee -i {log:q}"


rule plot_dynamics:
    input:
        configs=expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS),
        tables=expand(f"{RESULTS}/dynamics/{{run_id}}/{{table}}.parquet", run_id=RUNS, table=DYNAMICS),
        visualization=VISUALIZATION,
    output:
        [
            report(
                f"{RESULTS}/figures/dynamics/{figure}.png",
                caption=f"{CAPTIONS}/{figure}.rst",
                category="Runs",
                labels={"experiment": "dynamics", "figure": figure},
            )
            for figure in OF_DYNAMICS
        ],
        expand(f"{RESULTS}/figures/dynamics/{{figure}}.{{format}}", figure=OF_DYNAMICS, format=["svg", "csv"]),
    log:
        f"{RESULTS}/logs/plot/dynamics.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot/dynamics.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        results=lambda wildcards, output: str(Path(output[0]).parents[2]),
        runs=RUNS,
        figures=OF_DYNAMICS,
    message:
        "draw the dynamics of the runs"
    shell:
        "dynvision plot --dynamics --results {params.results:q} --run-ids {params.runs:q} --figures {params.figures:q}"
        " --visualization {input.visualization:q} 2>&1 | tee -i {log:q}"


rule weights:
    input:
        config=f"{RESULTS}/runs/{{run_id}}/config.yaml",
        weights=f"{RESULTS}/runs/{{run_id}}/model.safetensors",
    output:
        f"{RESULTS}/runs/{{run_id}}/weights.parquet",
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
        "dynvision weights distributions --weights {input.weights:q} --config {input.config:q} --output {output:q}"
        " 2>&1 | tee -i {log:q}"


rule plot_training:
    input:
        configs=expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS),
        training=expand(f"{RESULTS}/runs/{{run_id}}/training.csv", run_id=RUNS),
        weights=expand(f"{RESULTS}/runs/{{run_id}}/weights.parquet", run_id=RUNS),
        visualization=VISUALIZATION,
    output:
        [
            report(
                f"{RESULTS}/figures/training/{figure}.png",
                caption=f"{CAPTIONS}/{figure}.rst",
                category="Runs",
                labels={"experiment": "training", "figure": figure},
            )
            for figure in OF_RUNS
        ],
        expand(f"{RESULTS}/figures/training/{{figure}}.{{format}}", figure=OF_RUNS, format=["svg", "csv"]),
    log:
        f"{RESULTS}/logs/plot/training.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot/training.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        results=lambda wildcards, output: str(Path(output[0]).parents[2]),
        runs=RUNS,
        figures=OF_RUNS,
    message:
        "draw the training and the weights"
    shell:
        "dynvision plot --training --results {params.results:q} --run-ids {params.runs:q} --figures {params.figures:q}"
        " --visualization {input.visualization:q} 2>&1 | tee -i {log:q}"
