"""The limits of drift: how far features of people like those trained on are from the training's."""
