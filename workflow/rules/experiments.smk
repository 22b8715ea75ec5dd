# One job a run and experiment: all conditions in one process.


rule freeze_experiment:
    output:
        update(f"{RESULTS}/experiments/{{experiment}}/config.yaml"),
    log:
        f"{RESULTS}/logs/freeze_experiment/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/freeze_experiment/{{experiment}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        values=lambda wildcards: PLAN.experiment_json(wildcards.experiment),
    message:
        "freeze the experiment {wildcards.experiment}"
    shell:
        "dynvision config freeze-experiment {params.values:q} --output {output:q} 2>&1 | tee -i {log:q}"


rule experiment:
    input:
        experiment=known(RESPONSES, f"{RESULTS}/experiments/{{experiment}}/config.yaml"),
        config=known(RESPONSES, f"{RESULTS}/runs/{{run_id}}/config.yaml"),
        weights=known(RESPONSES, f"{RESULTS}/runs/{{run_id}}/model.safetensors"),
        trained=known(RESPONSES, TRAINED),
        data=images_of(RESPONSES),
    output:
        responses=update(f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/responses.parquet"),
        performance=update(f"{RESULTS}/experiments/{{experiment}}/{{run_id}}/performance.parquet"),
        record=RESPONSES,
    log:
        f"{RESULTS}/logs/experiment/{{experiment}}/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/experiment/{{experiment}}/{{run_id}}.tsv"
    group:
        "experiments_{run_id}"
    threads: REQUESTS.threads
    resources:
        mem_mb=lambda wildcards, attempt: REQUESTS.experiment(wildcards.run_id).mem_mb * attempt,
        runtime=lambda wildcards, attempt: REQUESTS.experiment(wildcards.run_id).runtime * attempt,
        gpu=lambda wildcards: REQUESTS.experiment(wildcards.run_id).gpu,
    params:
        data=lambda wildcards: PLAN.data_folder(wildcards.run_id),
    message:
        "run {wildcards.experiment} on {wildcards.run_id}"
    shell:
        "dynvision experiment --if-needed --experiment {input.experiment:q} --config {input.config:q} --weights {input.weights:q}"
        " --data {params.data:q} --responses {output.responses:q} --performance {output.performance:q} {EXECUTION}"
        " 2>&1 | tee -i {log:q}"
