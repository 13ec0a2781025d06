"""What can be said of a training file before a feature is computed: from the file, the data's headers and
the people. ``training_file`` is where it begins.
"""
