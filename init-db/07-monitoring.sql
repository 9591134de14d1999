-- What was judged of the models at work, and the alarms. The role penguins adds and changes rows, and owns nothing here.
SET search_path = pg_catalog, pg_temp;
SET client_min_messages = 'warning';

-- What somebody else made may have triggers, constraints and indexes that would run as the superuser.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_namespace
        LEFT JOIN pg_class ON relnamespace = pg_namespace.oid
        LEFT JOIN pg_proc ON pronamespace = pg_namespace.oid
        JOIN pg_roles ON pg_roles.oid IN (nspowner, relowner, proowner)
        WHERE nspname = 'monitoring' AND NOT rolsuper
    ) THEN
        RAISE 'the schema monitoring, or something in it, does not belong to a superuser'
            USING HINT = 'It was not made by this script: look at it, rename it, and start again.';
    END IF;
END $$;

BEGIN;
CREATE SCHEMA IF NOT EXISTS monitoring;
ALTER SCHEMA monitoring OWNER TO CURRENT_USER;

CREATE TABLE IF NOT EXISTS monitoring.verdicts (
    contract text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL CHECK (window_end > window_start),
    rows bigint NOT NULL CHECK (rows >= 0),
    predictions jsonb NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('stable', 'drifted', 'too few', 'no reference')),
    features jsonb NOT NULL,
    numbers jsonb NOT NULL,
    outside bigint NOT NULL,
    estimate jsonb NOT NULL,
    live jsonb NOT NULL,
    first_judged_at timestamptz NOT NULL DEFAULT now(),
    judged_at timestamptz NOT NULL DEFAULT now(),
    times_judged integer NOT NULL DEFAULT 1,
    PRIMARY KEY (contract, window_start, window_end, version)
);
CREATE INDEX IF NOT EXISTS verdicts_by_end ON monitoring.verdicts (contract, window_end);

CREATE TABLE IF NOT EXISTS monitoring.alarms (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contract text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL CHECK (window_end > window_start),
    kind text NOT NULL CHECK (kind IN ('drift', 'accuracy', 'truth')),
    reason text NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    emitted_at timestamptz,
    run_id text,
    outcome text,
    closed_at timestamptz,
    UNIQUE (contract, window_start, window_end, kind)
);
-- Of those that an earlier version of this script has raised everybody knows by now.
ALTER TABLE monitoring.alarms ADD COLUMN IF NOT EXISTS told_at timestamptz DEFAULT now();
ALTER TABLE monitoring.alarms ALTER COLUMN told_at DROP DEFAULT;
CREATE INDEX IF NOT EXISTS alarms_of_a_run ON monitoring.alarms (contract, run_id);

CREATE TABLE IF NOT EXISTS monitoring.shadow (
    contract text NOT NULL,
    version text NOT NULL,
    champion text NOT NULL,
    since timestamptz NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    numbers jsonb NOT NULL,
    looked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (contract, version, since)
);

CREATE TABLE IF NOT EXISTS monitoring.backups (
    at timestamptz PRIMARY KEY,
    bytes bigint NOT NULL,
    with_keys boolean NOT NULL
);

CREATE TABLE IF NOT EXISTS monitoring.disk (
    at timestamptz PRIMARY KEY DEFAULT clock_timestamp(),
    free bigint NOT NULL,
    total bigint NOT NULL,
    parts jsonb NOT NULL,
    is_low boolean NOT NULL,
    told_at timestamptz
);

-- The role penguins may not connect to the other databases, and so not ask for their sizes.
CREATE OR REPLACE FUNCTION monitoring.database_sizes() RETURNS TABLE (name text, bytes bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT datname::text, pg_database_size(oid) FROM pg_database WHERE datname IN ('airflow', 'mlflow', 'penguins') $$;
ALTER FUNCTION monitoring.database_sizes() OWNER TO CURRENT_USER;

REVOKE ALL ON SCHEMA monitoring FROM penguins, PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA monitoring FROM penguins, PUBLIC;
REVOKE ALL ON FUNCTION monitoring.database_sizes() FROM penguins, PUBLIC;
GRANT USAGE ON SCHEMA monitoring TO penguins;
GRANT EXECUTE ON FUNCTION monitoring.database_sizes() TO penguins;
GRANT SELECT ON monitoring.disk TO penguins;
GRANT INSERT (free, total, parts, is_low) ON monitoring.disk TO penguins;
GRANT UPDATE (told_at) ON monitoring.disk TO penguins;
GRANT SELECT, INSERT, UPDATE ON monitoring.verdicts, monitoring.shadow TO penguins;
GRANT SELECT, INSERT ON monitoring.backups TO penguins;
GRANT SELECT ON monitoring.alarms TO penguins;
GRANT INSERT (contract, model, version, window_start, window_end, kind, reason) ON monitoring.alarms TO penguins;
GRANT UPDATE (emitted_at, run_id, outcome, closed_at, told_at) ON monitoring.alarms TO penguins;

COMMENT ON SCHEMA monitoring IS 'Verdicts on the models at work; docs/explanation/monitoring.md explains them';
COMMENT ON TABLE monitoring.verdicts IS 'The judgement of each window, for each version that answered in it';
COMMENT ON COLUMN monitoring.verdicts.contract IS 'Name of the contract';
COMMENT ON COLUMN monitoring.verdicts.predictions IS 'Rows by predicted class';
COMMENT ON COLUMN monitoring.verdicts.verdict IS 'stable; drifted; too few rows to say; no reference came with the version';
COMMENT ON COLUMN monitoring.verdicts.features IS 'Names of the features that drifted, or that the window is told by';
COMMENT ON COLUMN monitoring.verdicts.numbers IS 'Numbers of each feature, with counts of reference and window to draw';
COMMENT ON COLUMN monitoring.verdicts.outside IS 'Rows with a feature outside the range of the training data';
COMMENT ON COLUMN monitoring.verdicts.estimate IS 'Accuracy and recalls estimated without labels, or why there are none';
COMMENT ON COLUMN monitoring.verdicts.live IS 'Accuracy and recalls by the truth so far, with intervals and coverage';
COMMENT ON COLUMN monitoring.verdicts.times_judged IS 'One more for each time that late truth or late rows changed it';
COMMENT ON TABLE monitoring.shadow IS 'The latest look at each version in the shadow of Production';
COMMENT ON COLUMN monitoring.shadow.champion IS 'The version in Production, which it is compared with';
COMMENT ON COLUMN monitoring.shadow.since IS 'When it was put in the shadow';
COMMENT ON COLUMN monitoring.shadow.outcome IS 'waiting, promoted, refused or expired; a person may decide otherwise';
COMMENT ON COLUMN monitoring.shadow.numbers IS 'Answers of both to the same rows, and how many of them are right';
COMMENT ON TABLE monitoring.backups IS 'The archives that were made of this stack, or of the one that it was restored from';
COMMENT ON COLUMN monitoring.backups.at IS 'What happened before is in the archive';
COMMENT ON TABLE monitoring.disk IS 'The use of the disk, measured every hour';
COMMENT ON COLUMN monitoring.disk.free IS 'Free bytes of the file system of the logs of Airflow''s tasks';
COMMENT ON COLUMN monitoring.disk.parts IS 'Bytes of each part of the stack';
COMMENT ON COLUMN monitoring.disk.is_low IS 'Whether less was free than PENGUINS_DISK_FREE_PERCENT said';
COMMENT ON COLUMN monitoring.disk.told_at IS 'When people were warned; null if they weren''t';
COMMENT ON FUNCTION monitoring.database_sizes IS 'Sizes of the stack''s databases';
COMMENT ON TABLE monitoring.alarms IS 'Reasons to train again or to look, each once; what was raised can''t be changed';
COMMENT ON COLUMN monitoring.alarms.kind IS
    'drift: the window drifted; accuracy: it is below the contract''s floor; truth: there is much new truth';
COMMENT ON COLUMN monitoring.alarms.emitted_at IS 'When a training was asked for; null if none was';
COMMENT ON COLUMN monitoring.alarms.run_id IS 'The DAG run of the training';
COMMENT ON COLUMN monitoring.alarms.outcome IS 'What became of it; null while that is open';
COMMENT ON COLUMN monitoring.alarms.told_at IS 'When people were told of it; null until that has succeeded';
COMMIT;
