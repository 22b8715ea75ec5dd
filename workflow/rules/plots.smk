# Figures, each as PNG, SVG and the CSV of what was drawn.

FIGURES = ["responses", "measures", "performance"]
FORMATS = ["png", "svg", "csv"]
VISUALIZATION = f"{RESULTS}/visualization.yaml"


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
        values=PLAN.workflow.visualization.model_dump_json(),
    message:
        "freeze the look of figures"
    shell:
        "dynvision config freeze-visualization {params.values:q} --output {output:q} 2>&1 | tee -i {log:q}"


rule plot_experiment:
    input:
        experiment=f"{RESULTS}/experiments/{{experiment}}/config.yaml",
        configs=expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS),
        responses=expand(
            f"{RESULTS}/experiments/{{{{experiment}}}}/{{run_id}}/responses.parquet", run_id=RUNS
        ),
        performance=expand(
            f"{RESULTS}/experiments/{{{{experiment}}}}/{{run_id}}/performance.parquet", run_id=RUNS
        ),
        metrics=expand(f"{RESULTS}/experiments/{{{{experiment}}}}/{{run_id}}/metrics.parquet", run_id=RUNS),
        visualization=VISUALIZATION,
    output:
        expand(f"{RESULTS}/figures/{{{{experiment}}}}/{{figure}}.{{format}}", figure=FIGURES, format=FORMATS),
    log:
        f"{RESULTS}/logs/plot_experiment/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_experiment/{{experiment}}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        folder=lambda wildcards: PLAN.paths.figures(wildcards.experiment),
    message:
        "draw the figures of {wildcards.experiment}"
    shell:
        "dynvision plot --experiment {input.experiment:q} --configs {input.configs:q} --responses {input.responses:q}"
        " --performance {input.performance:q} --metrics {input.metrics:q} --visualization {input.visualization:q}"
        " --output-dir {params.folder:q} 2>&1 | tee -i {log:q}"


rule plot_training:
    input:
        configs=expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS),
        training=expand(f"{RESULTS}/runs/{{run_id}}/training.csv", run_id=RUNS),
        visualization=VISUALIZATION,
    output:
        expand(f"{RESULTS}/figures/training/training.{{format}}", format=FORMATS),
    log:
        f"{RESULTS}/logs/plot_training.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_training.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        folder=PLAN.paths.figures("training"),
    message:
        "draw the figure of training"
    shell:
        "dynvision plot --training {input.training:q} --configs {input.configs:q}"
        " --visualization {input.visualization:q} --output-dir {params.folder:q} 2>&1 | tee -i {log:q}"
