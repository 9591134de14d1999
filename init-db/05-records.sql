-- What the pipeline chooses and judges by. Tags and metrics in MLflow may be set by everyone who reaches it; these tables
-- only by the role penguins, and it can only read them and add to them.
SET search_path = pg_catalog, pg_temp;
SET client_min_messages = 'warning';

CREATE TABLE IF NOT EXISTS audit.candidates (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    experiment_id text NOT NULL,
    dag_run_id text NOT NULL,
    fingerprint text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('finished', 'failed', 'left out', 'discarded')),
    name text NOT NULL,
    run_id text,
    model_id text UNIQUE,
    params jsonb NOT NULL,
    metrics jsonb NOT NULL,
    tags jsonb NOT NULL
);
ALTER TABLE audit.candidates OWNER TO CURRENT_USER;
CREATE INDEX IF NOT EXISTS candidates_of_a_dag_run ON audit.candidates (experiment_id, dag_run_id, fingerprint, id);

CREATE TABLE IF NOT EXISTS audit.verdicts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    model text NOT NULL,
    version text NOT NULL,
    version_created_at timestamptz NOT NULL,
    champion text,
    promote boolean NOT NULL,
    reason text NOT NULL,
    numbers jsonb NOT NULL,
    asked boolean NOT NULL
);
ALTER TABLE audit.verdicts OWNER TO CURRENT_USER;
CREATE INDEX IF NOT EXISTS verdicts_of_a_model ON audit.verdicts (model, id);

-- Decisions from before this table are complete.
SELECT to_regclass('audit.settled') IS NULL AS first \gset
CREATE TABLE IF NOT EXISTS audit.settled (
    promotion bigint PRIMARY KEY REFERENCES audit.promotions,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE audit.settled OWNER TO CURRENT_USER;
\if :first
    INSERT INTO audit.settled (promotion) SELECT id FROM audit.promotions;
\endif

REVOKE ALL ON audit.candidates, audit.verdicts, audit.settled FROM penguins, PUBLIC;
GRANT SELECT ON audit.candidates, audit.verdicts, audit.settled TO penguins;
GRANT INSERT (experiment_id, dag_run_id, fingerprint, outcome, name, run_id, model_id, params, metrics, tags)
    ON audit.candidates TO penguins;
GRANT INSERT (model, version, version_created_at, champion, promote, reason, numbers, asked)
    ON audit.verdicts TO penguins;
GRANT INSERT (promotion) ON audit.settled TO penguins;

COMMENT ON TABLE audit.candidates IS 'Results of grid_train, of each candidate the latest counts; append-only';
COMMENT ON COLUMN audit.candidates.experiment_id IS 'The experiment in MLflow';
COMMENT ON COLUMN audit.candidates.fingerprint IS 'Hash of everything that the result depends on';
COMMENT ON COLUMN audit.candidates.outcome IS
    'finished; failed; left out: no time was left for it; discarded: of other data, parameters or code than a later try';
COMMENT ON COLUMN audit.candidates.run_id IS 'The run in MLflow';
COMMENT ON COLUMN audit.candidates.model_id IS 'The logged model in MLflow, by which a version is found';
COMMENT ON COLUMN audit.candidates.tags IS 'Origin: DAG run, data, split, code and estimator';
COMMENT ON TABLE audit.verdicts IS 'Verdicts of the gate, of each version the latest counts; append-only';
COMMENT ON COLUMN audit.verdicts.champion IS 'The version in Production when it was judged';
COMMENT ON COLUMN audit.verdicts.asked IS 'Whether the page asks a person';
COMMENT ON TABLE audit.settled IS 'Decisions of audit.promotions that were carried out to the end; append-only';
