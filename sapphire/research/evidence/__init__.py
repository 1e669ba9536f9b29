"""Evidence: what a submit measures of an agent's captured code, under a study as it is declared."""
