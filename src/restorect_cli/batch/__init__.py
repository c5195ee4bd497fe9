"""Thousands of photographs, unattended: plan, restore, remember.

scan         which files are in the folder
plan         which file becomes which, and which are done already (pure)
shard        the share of one of several runs
manifest     what became of every image, one JSON line each
fingerprint  whether an older result would come out the same today
leftovers    temporary files of runs that were killed
work         the steps for one image
pipeline     the steps of many images at the same time
cluster      the same on Dask workers
watch        files as they arrive
run          puts these together
session      one run: who does the work, Ctrl-C, counts
"""

MOST_JOBS = 2
"""Images restored at the same time by default: a second one uses the pauses of the first; each takes about 0.6 GB."""
