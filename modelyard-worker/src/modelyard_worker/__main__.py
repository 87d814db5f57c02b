"""`python -m modelyard_worker KIND FOLDER`: runs the order in FOLDER. KIND is template, replica, job or log-metrics."""

import sys


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in ("template", "replica", "job", "log-metrics"):
        print("usage: python -m modelyard_worker {template|replica|job|log-metrics} FOLDER", file=sys.stderr)
        return 2
    kind, folder = sys.argv[1], sys.argv[2]
    # Each kind imports only what it needs: a job's wrapper must not pay for a replica's loop.
    if kind == "template":
        from modelyard_worker.template import run_template

        return run_template(folder)
    if kind == "replica":
        from modelyard_worker.replica import run_replica

        return run_replica(folder)
    if kind == "log-metrics":
        from modelyard_worker.log_metrics import read_log

        return read_log(folder)
    from modelyard_worker.job import run_job

    return run_job(folder)


if __name__ == "__main__":
    sys.exit(main())
