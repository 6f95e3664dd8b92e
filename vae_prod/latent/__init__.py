"""The latent space: draws, fitted densities, encoded images and their statistics."""
