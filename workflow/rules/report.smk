# One self-contained page for a reader.


rule report:
    input:
        expand(f"{RESULTS}/experiments/{{experiment}}/config.yaml", experiment=EXPERIMENTS),
        expand(
            f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/metrics.parquet",
            experiment=EXPERIMENTS,
            run_id=RUNS,
        ),
        [
            f"{RESULTS}/figures/{experiment}/{figure}.png"
            for experiment in EXPERIMENTS
            for figure in PLAN.figures(experiment)
        ],
        expand(f"{RESULTS}/figures/training/{{figure}}.png", figure=OF_RUNS),
        expand(f"{RESULTS}/runs/{{run_id}}/test.json", run_id=RUNS),
        visualization=VISUALIZATION,
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        results=lambda wildcards, output: str(Path(output[0]).parent),
        experiments=EXPERIMENTS,
        runs=RUNS,
    message:
        "write {output}"
    shell:
        "dynvision report --results {params.results:q} --experiments {params.experiments:q} --run-ids {params.runs:q}"
        " --visualization {input.visualization:q} --output {output:q} 2>&1 | tee -i {log:q}"
