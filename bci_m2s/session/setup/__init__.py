"""From YAML to objects: the pipeline file, shipped pipelines and models, streams found and held
against the contract.
"""
