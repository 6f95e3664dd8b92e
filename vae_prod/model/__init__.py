"""The VAE: networks, likelihoods, KL, train step, and a trained model as a codec."""
