"""What is handed over between ChimeraX's scene and files: maps, frames, models, regions."""
