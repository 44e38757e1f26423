"""What the scripts of this folder share: where things are, how programs are run, where results go."""
