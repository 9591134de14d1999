-- The pipeline's own tables. The role penguins runs this script and owns them.
SET search_path = public, pg_temp;
SET client_min_messages = 'warning';

-- The tables of each contract are made by its first run. In older stacks that of rejected rows has no runs.
ALTER TABLE IF EXISTS penguins_rejected ADD COLUMN IF NOT EXISTS run_id text NOT NULL DEFAULT '';

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

COMMENT ON TABLE penguins_runs IS 'The runs of all contracts that keep their tables';
COMMENT ON COLUMN penguins_runs.contract IS 'Name of the contract, whose DAG has the run';
COMMENT ON COLUMN penguins_runs.hash IS
    'The run''s tables are <contract>_raw_<hash> and <contract>_processed_<hash>, while they are not published';
COMMENT ON COLUMN penguins_runs.loaded_at IS 'End of its last load; null if none succeeded';
COMMENT ON COLUMN penguins_runs.source IS 'The source of its rows: address, bytes, sha256, rows';

COMMENT ON TABLE penguins_published IS 'The runs whose rows the published tables of each contract have';
COMMENT ON COLUMN penguins_published.name IS 'Name of the table, such as penguins_raw';
COMMENT ON COLUMN penguins_published.run_id IS 'The DAG run; empty for rows that no DAG run loaded';
