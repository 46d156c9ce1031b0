"""What a run leaves on disk and shows while it goes on.

A *run folder* holds the files of the runs of one experiment, told apart by task and seed. A
*recorder* is told of each iteration and writes one file. A *checkpoint* is the whole state of a
run.
"""
