"""All studies, by name."""

from tools.studies import (
    ae_vs_vae,
    attributes,
    decoder_artifacts,
    denoise,
    fact_sweep,
    generation,
    latent_space,
    plane,
    recolour,
    reconstruction,
    run_report,
    samplers,
)

STUDIES = {
    "reconstruction": reconstruction,
    "generation": generation,
    "latent_space": latent_space,
    "attributes": attributes,
    "samplers": samplers,
    "report": run_report,
    "decoder_artifacts": decoder_artifacts,
    "ae_vs_vae": ae_vs_vae,
    "plane": plane,
    "fact_sweep": fact_sweep,
    "denoise": denoise,
    "recolour": recolour,
}
