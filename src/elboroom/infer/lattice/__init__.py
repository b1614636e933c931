"""A lattice of latent points, refined row by row."""
