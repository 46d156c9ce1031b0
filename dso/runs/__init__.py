"""What a run writes to disk, and what it shows while it lasts.

A *run folder* holds the files of the runs of one experiment, told apart by task and seed. A
*recorder* is told of each iteration and writes one file. A *checkpoint* is the whole state of a
run.
"""
