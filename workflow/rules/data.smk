# Configurations are frozen; images become FFCV files.

CONVERTED = f"{RESULTS}/data/{{data_id}}/converted.json"


rule freeze_run:
    output:
        f"{RESULTS}/runs/{{run_id}}/config.yaml",
    log:
        f"{RESULTS}/logs/freeze_run/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/freeze_run/{{run_id}}.tsv"
    group:
        "train"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        values=lambda wildcards: PLAN.run_json(wildcards.run_id),
    message:
        "freeze the configuration of {wildcards.run_id}"
    shell:
        "dynvision config freeze-run {params.values:q} --output {output:q} 2>&1 | tee -i {log:q}"


rule runs_table:
    input:
        known(f"{SHOWN}/runs.csv", *expand(f"{RESULTS}/runs/{{run_id}}/config.yaml", run_id=RUNS)),
    output:
        update(f"{SHOWN}/runs.csv"),
    log:
        f"{SHOWN}/logs/runs_table.log",
    benchmark:
        f"{SHOWN}/benchmarks/runs_table.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "list all runs in {output}"
    shell:
        "dynvision runs --results {RESULTS:q} --output {output:q} 2>&1 | tee -i {log:q}"


rule freeze_data:
    output:
        f"{RESULTS}/data/{{data_id}}/config.yaml",
    log:
        f"{RESULTS}/logs/freeze_data/{{data_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/freeze_data/{{data_id}}.tsv"
    group:
        "data"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        values=lambda wildcards: PLAN.data_json(wildcards.data_id),
    message:
        "freeze the configuration of {wildcards.data_id}"
    shell:
        "dynvision config freeze-data {params.values:q} --output {output:q} 2>&1 | tee -i {log:q}"


# The record is written last: where it is, all is. The loader is no parameter of the rule,
# because reading with another one changes no result.
rule convert_dataset:
    input:
        config=known(CONVERTED, f"{RESULTS}/data/{{data_id}}/config.yaml"),
    output:
        update(f"{RESULTS}/data/{{data_id}}/manifest.json"),
        CONVERTED,
    log:
        f"{RESULTS}/logs/convert_dataset/{{data_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/convert_dataset/{{data_id}}.tsv"
    group:
        "data"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        folder=lambda wildcards: PLAN.paths.data(wildcards.data_id),
    message:
        "convert the images of {wildcards.data_id}"
    shell:
        "dynvision convert --config {input.config:q} --output {params.folder:q} --loader {LOADER}"
        " 2>&1 | tee -i {log:q}"
