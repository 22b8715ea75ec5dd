# One self-contained page for a reader.


rule report:
    input:
        known(
            REPORT,
            *expand(OF_TRAININGS, run_id=RUNS),
            *expand(f"{RESULTS}/experiments/{{experiment}}/config.yaml", experiment=EXPERIMENTS),
            *expand(OF_EXPERIMENTS, experiment=EXPERIMENTS, run_id=RUNS),
            *OF_COMPARISONS,
            *FIGURES,
        ),
        visualization=known(REPORT, VISUALIZATION),
    output:
        page=update(f"{SHOWN}/report.html"),
        record=REPORT,
    log:
        f"{SHOWN}/logs/report.log",
    benchmark:
        f"{SHOWN}/benchmarks/report.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        experiments=EXPERIMENTS,
        runs=RUNS,
        comparisons=shlex.join(["--comparisons", *COMPARISONS] if COMPARISONS else []),
    message:
        "write {output.page}"
    shell:
        "dynvision report --results {RESULTS:q} {OF_STUDY} --experiments {params.experiments:q} --run-ids {params.runs:q}"
        " {params.comparisons}"
        " --visualization {input.visualization:q} --output {output.page:q} 2>&1 | tee -i {log:q}"
