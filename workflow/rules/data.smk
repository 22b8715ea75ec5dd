# Configurations are frozen; images become FFCV files.


rule freeze_run:
    output:
        f"{RESULTS}/runs/{{run_id}}/config.yaml",
    params:
        values=lambda wildcards: PLAN.run_json(wildcards.run_id),
    log:
        f"{RESULTS}/logs/freeze_run/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/freeze_run/{{run_id}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "dynvision config freeze-run {params.values:q} --output {output:q} 2>&1 | tee {log:q}"


rule runs_table:
    input:
        expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS),
    output:
        f"{RESULTS}/runs.csv",
    params:
        results=RESULTS,
    log:
        f"{RESULTS}/logs/runs_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/runs_table.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "dynvision runs --results {params.results:q} --output {output:q} 2>&1 | tee {log:q}"


rule convert_dataset:
    input:
        config=lambda wildcards: f"{RESULTS}/runs/{PLAN.run_with_data(wildcards.data_id)}/config.yaml",
    output:
        PLAN.data_files("{data_id}"),
    params:
        folder=lambda wildcards: PLAN.paths.data(wildcards.data_id),
        loader="ffcv" if PLAN.uses_ffcv else "torch",
    log:
        f"{RESULTS}/logs/convert_dataset/{{data_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/convert_dataset/{{data_id}}.tsv"
    threads: 4
    resources:
        mem_mb=4000,
        runtime=120,
    shell:
        "dynvision convert --config {input.config:q} --output {params.folder:q} --loader {params.loader}"
        " 2>&1 | tee {log:q}"
