"""Fast paths behind layers and losses; each is equal to its plain form."""
