# Measures of the responses: tables in, tables out; and dynamics of the networks themselves (`snakemake dynamics`).

DYNAMICS = ["spectrum", "timescales", "autocorrelation", "trajectories", "unrolling"]


rule analyse:
    input:
        experiment=f"{RESULTS}/experiments/{{experiment}}/config.yaml",
        responses=f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/responses.parquet",
        performance=f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/performance.parquet",
    output:
        metrics=f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/metrics.parquet",
        summary=f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/summary.parquet",
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
        config=f"{RESULTS}/runs/{{run_id}}/config.yaml",
        weights=f"{RESULTS}/runs/{{run_id}}/model.safetensors",
        data=lambda wildcards: PLAN.data_folder(wildcards.run_id) / "manifest.json",
    output:
        expand(f"{RESULTS}/dynamics/{{{{run_id}}}}/{{table}}.parquet", table=DYNAMICS),
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
        expand(f"{RESULTS}/figures/dynamics/{{figure}}.png", figure=OF_DYNAMICS),
    localrule: True
    message:
        "dynamics done: tables in {RESULTS}/dynamics, figures in {RESULTS}/figures/dynamics"
