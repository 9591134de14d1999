-- The audit trail of promotions. The role penguins can only read it and add entries: it owns neither the table nor the
-- schema, and the database sets id, time and db_user of an entry.
SET search_path = pg_catalog, pg_temp;
SET client_min_messages = 'warning';

-- A table that somebody else made may have triggers, constraints and indexes that would run as the superuser.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_namespace LEFT JOIN pg_class ON relnamespace = pg_namespace.oid
        JOIN pg_roles ON pg_roles.oid IN (nspowner, relowner)
        WHERE nspname = 'audit' AND NOT rolsuper
    ) THEN
        RAISE 'the schema audit, or something in it, does not belong to a superuser'
            USING HINT = 'It was not made by this script: look at it, rename it, and start again.';
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS audit;
ALTER SCHEMA audit OWNER TO CURRENT_USER;

CREATE TABLE IF NOT EXISTS audit.promotions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    model text NOT NULL,
    who text NOT NULL,
    action text NOT NULL,
    from_version text,
    to_version text NOT NULL,
    reason text NOT NULL,
    numbers jsonb NOT NULL,
    dag_run_id text,
    data_digest text,
    git_commit text
);
ALTER TABLE audit.promotions OWNER TO CURRENT_USER;
ALTER TABLE audit.promotions ADD COLUMN IF NOT EXISTS version_created_at timestamptz;
-- No value in the entries from before: nobody knows it.
ALTER TABLE audit.promotions ADD COLUMN IF NOT EXISTS db_user text;
ALTER TABLE audit.promotions ADD COLUMN IF NOT EXISTS source jsonb;
ALTER TABLE audit.promotions ALTER COLUMN db_user SET DEFAULT session_user;
ALTER TABLE audit.promotions DROP CONSTRAINT IF EXISTS promotions_action_check;
ALTER TABLE audit.promotions ADD CONSTRAINT promotions_action_check
    CHECK (action IN ('promote', 'refuse', 'rollback', 'found', 'overtaken', 'sign', 'shadow'));
CREATE INDEX IF NOT EXISTS promotions_of_a_model ON audit.promotions (model, id);

GRANT USAGE ON SCHEMA audit TO penguins;
REVOKE ALL ON audit.promotions FROM penguins, PUBLIC;
GRANT SELECT ON audit.promotions TO penguins;
GRANT INSERT (
    model, who, action, from_version, to_version, reason, numbers, dag_run_id, data_digest, git_commit,
    version_created_at, source
) ON audit.promotions TO penguins;

COMMENT ON TABLE audit.promotions IS 'Every decision about which model version is in Production; append-only';
COMMENT ON COLUMN audit.promotions.who IS 'The person or the DAG run that decided, as the program says that wrote this';
COMMENT ON COLUMN audit.promotions.db_user IS 'The role that was logged in to the database, set by the database';
COMMENT ON COLUMN audit.promotions.action IS
    'promote; refuse: to_version was judged and not promoted; rollback; found: Production was moved by someone else; '
    'overtaken: a person''s answer that came too late and changed nothing; '
    'sign: the files of to_version were signed by hand; '
    'shadow: to_version passed the gate, and answers in the shadow before it is judged again';
COMMENT ON COLUMN audit.promotions.from_version IS 'The version in Production before';
COMMENT ON COLUMN audit.promotions.numbers IS 'Numbers that to_version was judged by';
COMMENT ON COLUMN audit.promotions.dag_run_id IS 'The DAG run that to_version comes from';
COMMENT ON COLUMN audit.promotions.data_digest IS 'sha256 of the rows that to_version learned from';
COMMENT ON COLUMN audit.promotions.source IS 'The file with these rows: address, bytes, sha256, rows';
COMMENT ON COLUMN audit.promotions.git_commit IS 'The code that to_version was trained by';
COMMENT ON COLUMN audit.promotions.version_created_at IS
    'When to_version was registered, which tells it from one of its number in a model that was deleted since';
