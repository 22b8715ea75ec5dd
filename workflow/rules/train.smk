# One job a run. Checkpoints are not declared, so that a training that was stopped finds them again.


rule train:
    input:
        config=known(TRAINED, f"{RESULTS}/runs/{{run_id}}/config.yaml"),
        data=images_of(TRAINED),
        pretrained=lambda wildcards: [ancient(path) for path in PLAN.pretrained(wildcards.run_id)],
    output:
        update(expand(f"{RESULTS}/runs/{{{{run_id}}}}/{{file}}", file=made_from.OF_TRAINING)),
        TRAINED,
    log:
        f"{RESULTS}/logs/train/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run_id}}.tsv"
    group:
        "train"
    threads: REQUESTS.threads
    resources:
        mem_mb=lambda wildcards, attempt: REQUESTS.training(wildcards.run_id).mem_mb * attempt,
        runtime=lambda wildcards, attempt: REQUESTS.training(wildcards.run_id).runtime * attempt,
        gpu=lambda wildcards: REQUESTS.training(wildcards.run_id).gpu,
        mpi=REQUESTS.launcher,
        nodes=REQUESTS.nodes,
        tasks=REQUESTS.tasks,
        tasks_per_gpu=REQUESTS.tasks_per_gpu,
        tasks_per_node=REQUESTS.tasks_per_node,
    params:
        data=lambda wildcards: PLAN.data_folder(wildcards.run_id),
        folder=lambda wildcards: PLAN.paths.run(wildcards.run_id),
    message:
        "train {wildcards.run_id}"
    shell:
        REQUESTS.launch
        + "dynvision train --if-needed --config {input.config:q} --data {params.data:q} --output {params.folder:q} {EXECUTION}"
        " 2>&1 | tee -i {log:q}"
