"""The authors' released checkpoints as models of this project."""
