#!/usr/bin/env nextflow

// Scores every slide of a study, one process a slide.
//
//   nextflow run workflows/main.nf --study STUDY --out RUNS
//   nextflow run workflows/main.nf --study STUDY --out RUNS --options '--preset circe_guarded'
//   nextflow run workflows/main.nf --study STUDY --out RUNS -with-docker ctcfish
//
// RUNS/<slide>/ is a whole run of one slide. Exit code 3 means that the slide was refused: it is noted and the others
// go on.

nextflow.enable.dsl = 2

params.study = null
params.out = 'runs'
params.options = ''
params.memory = '4 GB'

process SCORE {
    tag "${slide.name}"
    cpus 1
    memory params.memory
    errorStrategy { task.exitStatus == 3 ? 'ignore' : 'terminate' }
    publishDir params.out, mode: 'copy', saveAs: { name -> slide.name }

    input:
    path slide

    output:
    path 'run'

    script:
    """
    ctcfish score '${slide}' --out run ${params.options}
    """
}

workflow {
    if (!params.study) {
        error 'Give the study: --study STUDY'
    }
    slides = Channel
        .fromPath("${params.study}/*", type: 'dir')
        .filter { it.resolve('fish').isDirectory() || it.resolve('if').isDirectory() || it.resolve('slide.toml').exists() }
    SCORE(slides)
}
