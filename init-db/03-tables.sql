-- The pipeline's tables. The role penguins runs this script and owns them, so that it can also replace them.
SET search_path = public, pg_temp;
SET client_min_messages = 'warning';

-- Tables that exist may have been changed by a run, because the contract was.
SELECT to_regclass('penguins_raw') IS NULL AS missing \gset
\if :missing
    BEGIN;
    CREATE TABLE penguins_raw (
        source_row bigint NOT NULL,
        species text,
        island text,
        bill_length_mm double precision,
        bill_depth_mm double precision,
        flipper_length_mm double precision,
        body_mass_g double precision,
        sex text,
        year integer
    );

    COMMENT ON TABLE penguins_raw IS 'The source as the run that started last has loaded it; replaced as a whole';
    COMMENT ON COLUMN penguins_raw.source_row IS 'Number of the row in the source, from 1';
    COMMENT ON COLUMN penguins_raw.bill_length_mm IS 'Bill length in millimetres';
    COMMENT ON COLUMN penguins_raw.bill_depth_mm IS 'Bill depth in millimetres';
    COMMENT ON COLUMN penguins_raw.flipper_length_mm IS 'Flipper length in millimetres';
    COMMENT ON COLUMN penguins_raw.body_mass_g IS 'Body mass in grams';
    COMMENT ON COLUMN penguins_raw.year IS 'Year of the study';
    COMMIT;
\endif

SELECT to_regclass('penguins_processed') IS NULL AS missing \gset
\if :missing
    BEGIN;
    CREATE TABLE penguins_processed (
        source_row bigint NOT NULL,
        species text NOT NULL,
        label smallint NOT NULL,
        bill_length_mm double precision NOT NULL,
        bill_depth_mm double precision NOT NULL,
        flipper_length_mm double precision NOT NULL,
        body_mass_g double precision NOT NULL,
        island text,
        sex text,
        year integer
    );

    COMMENT ON TABLE penguins_processed IS 'Rows of penguins_raw that the model can learn from';
    COMMENT ON COLUMN penguins_processed.source_row IS 'The row of penguins_raw it was made from';
    COMMENT ON COLUMN penguins_processed.label IS 'Species as a number, in alphabetical order from 0';
    COMMENT ON COLUMN penguins_processed.bill_length_mm IS 'Bill length in millimetres';
    COMMENT ON COLUMN penguins_processed.bill_depth_mm IS 'Bill depth in millimetres';
    COMMENT ON COLUMN penguins_processed.flipper_length_mm IS 'Flipper length in millimetres';
    COMMENT ON COLUMN penguins_processed.body_mass_g IS 'Body mass in grams';
    COMMIT;
\endif

CREATE TABLE IF NOT EXISTS penguins_rejected (
    source_row bigint NOT NULL,
    task text NOT NULL,
    reason text NOT NULL,
    record jsonb NOT NULL
);
ALTER TABLE penguins_rejected ADD COLUMN IF NOT EXISTS run_id text NOT NULL DEFAULT '';

CREATE TABLE IF NOT EXISTS penguins_runs (
    run_id text PRIMARY KEY,
    hash text NOT NULL,
    started_at timestamptz NOT NULL,
    loaded_at timestamptz,
    source jsonb
);

-- Runs of two contracts may have the same id. All runs from before are those of the penguins.
ALTER TABLE penguins_runs ADD COLUMN IF NOT EXISTS contract text NOT NULL DEFAULT 'penguins';
SELECT EXISTS (
    SELECT FROM pg_constraint WHERE conrelid = 'penguins_runs'::regclass AND contype = 'p' AND cardinality(conkey) = 1
) AS older
\gset
\if :older
    ALTER TABLE penguins_runs DROP CONSTRAINT penguins_runs_pkey, ADD PRIMARY KEY (contract, run_id);
\endif

CREATE TABLE IF NOT EXISTS penguins_published (
    name text PRIMARY KEY,
    run_id text NOT NULL,
    started_at timestamptz NOT NULL
);

COMMENT ON TABLE penguins_rejected IS 'Rows that break the data contract';
COMMENT ON COLUMN penguins_rejected.source_row IS 'Number of the row in the source, from 1';
COMMENT ON COLUMN penguins_rejected.task IS 'The task that rejected the row';
COMMENT ON COLUMN penguins_rejected.reason IS 'Reason of the rejection, for a person to read';
COMMENT ON COLUMN penguins_rejected.record IS 'The row as it was read';
COMMENT ON COLUMN penguins_rejected.run_id IS 'The DAG run that rejected the row; empty for none';

COMMENT ON TABLE penguins_runs IS 'The runs of all contracts that keep their tables';
COMMENT ON COLUMN penguins_runs.contract IS 'Name of the contract, whose DAG has the run';
COMMENT ON COLUMN penguins_runs.hash IS
    'The run''s tables are <contract>_raw_<hash> and <contract>_processed_<hash>, while they are not published';
COMMENT ON COLUMN penguins_runs.loaded_at IS 'End of its last load; null if none succeeded';
COMMENT ON COLUMN penguins_runs.source IS 'The source of its rows: address, bytes, sha256, rows';

COMMENT ON TABLE penguins_published IS 'The runs whose rows the published tables of each contract have';
COMMENT ON COLUMN penguins_published.name IS 'Name of the table, such as penguins_raw';
COMMENT ON COLUMN penguins_published.run_id IS 'The DAG run; empty for rows that no DAG run loaded';
