"""The tool panel: its logic without widgets, its options, and the widgets themselves."""
