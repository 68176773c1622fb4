"""The folder that holds all that inference needs: its files, its card, imported recognizers."""
