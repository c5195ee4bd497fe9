"""The table of students: what there is, where its files lie, how they are fetched and verified."""
