"""Run Airflow's command with the arguments of this process.

A seventh of a start would go into looking for garbage among what is imported, and stays.
"""

import gc

gc.set_threshold(10_000, 10, 10)

if __name__ == "__main__":
    from airflow.__main__ import main

    main()  # type: ignore[no-untyped-call]
