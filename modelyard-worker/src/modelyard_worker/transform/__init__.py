"""Batch transform: scores files, folders and URLs with a package's model, SageMaker's semantics without the containers.

    plan        what was asked for, and what of it cannot be; shared with whoever asks
    json_paths  the subset of JSONPath that InputFilter and OutputFilter have
    objects     what there is to score: one object a file, its format, what its output is called
    chunks      an object cut into pieces that are scored one by one: lines, row groups, or all of it
    scoring     a piece scored: records filtered, the model asked, answers joined and put together
    scorer      the process that does so: loads the package as a replica does, answers over a socket
    scorers     those processes as the coordinator sees them: started, given work, killed when they hang
    journal     how far each object's output is on disk, so that whoever comes next goes on from there
    outputs     output written aside, appended in order, renamed when it is whole
    progress    how far all of it is, for people
    coordinator the one loop that brings them together

Work goes out in the order of the input and is written in that order, whichever piece is scored first. What is in memory
is bounded: pieces of at most MaxPayloadInMB, `PIECES_PER_SCORER` of them for each process.
"""
