# Measures of the responses: tables in, table out.


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
