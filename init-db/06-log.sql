-- The prediction log. The role shipper can only add to it, the role penguins only read it, and both own nothing here. What
-- needs more rights is done by functions of the superuser, which look names up in no schema of a role.
SET search_path = pg_catalog, pg_temp;
SET client_min_messages = 'warning';
\getenv retention_days PENGUINS_LOG_RETENTION_DAYS

-- What somebody else made may have triggers, constraints and functions that would run as the superuser.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_namespace
        LEFT JOIN pg_class ON relnamespace = pg_namespace.oid
        LEFT JOIN pg_proc ON pronamespace = pg_namespace.oid
        JOIN pg_roles ON pg_roles.oid IN (nspowner, relowner, proowner)
        WHERE nspname = 'log' AND NOT rolsuper
    ) THEN
        RAISE 'the schema log, or something in it, does not belong to a superuser'
            USING HINT = 'It was not made by this script: look at it, rename it, and start again.';
    END IF;
END $$;

BEGIN;
CREATE SCHEMA IF NOT EXISTS log;
ALTER SCHEMA log OWNER TO CURRENT_USER;

CREATE TABLE IF NOT EXISTS log.predictions (
    prediction_id uuid NOT NULL,
    row_index integer NOT NULL,
    at timestamptz NOT NULL,
    contract bytea NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    class smallint NOT NULL,
    latency_ms real NOT NULL,
    outside smallint NOT NULL,
    fraction real NOT NULL,
    features real[] NOT NULL,
    probabilities real[] NOT NULL,
    shadow smallint,
    shipped_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (at);
-- No value in the rows from before: nothing was in the shadow.
SELECT NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = 'log.predictions'::regclass AND attname = 'shadow_version'
) AS older
\gset
\if :older
    ALTER TABLE log.predictions ADD COLUMN shadow_version text;
\endif
CREATE INDEX IF NOT EXISTS predictions_by_id ON log.predictions (prediction_id, row_index);
-- The ids are ordered by time: this finds the latest predictions of a model among those of busier ones.
CREATE INDEX IF NOT EXISTS predictions_by_model ON log.predictions (model, prediction_id, row_index);
CREATE INDEX IF NOT EXISTS predictions_by_time ON log.predictions USING brin (at);
CREATE TABLE IF NOT EXISTS log.predictions_elsewhere PARTITION OF log.predictions DEFAULT;

CREATE TABLE IF NOT EXISTS log.segments (
    name text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('predictions', 'feedback', 'events')),
    rows bigint NOT NULL CHECK (rows >= 0),
    shipped_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS log.contracts (
    digest bytea PRIMARY KEY CHECK (length(digest) = 16),
    name text NOT NULL,
    document jsonb NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS log.traffic (
    contract text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    hour timestamptz NOT NULL,
    class text NOT NULL,
    rows bigint NOT NULL,
    outside bigint NOT NULL,
    missing bigint NOT NULL,
    latency_ms_sum double precision NOT NULL,
    latency_ms_max real NOT NULL,
    PRIMARY KEY (model, hour, contract, version, class)
);

CREATE TABLE IF NOT EXISTS log.feedback (
    prediction_id uuid NOT NULL,
    row_index integer NOT NULL CHECK (row_index >= 0),
    class text NOT NULL,
    at timestamptz NOT NULL,
    who text NOT NULL,
    received_at timestamptz NOT NULL,
    model text NOT NULL,
    shipped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (prediction_id, row_index, at, class, who, model)
);
-- What was sent about another model by mistake must not keep the truth away.
SELECT pg_get_constraintdef(oid) !~ 'model' AS older FROM pg_constraint
WHERE conrelid = 'log.feedback'::regclass AND contype = 'p'
\gset
\if :older
    ALTER TABLE log.feedback DROP CONSTRAINT feedback_pkey,
        ADD CONSTRAINT feedback_pkey PRIMARY KEY (prediction_id, row_index, at, class, who, model);
\endif

CREATE TABLE IF NOT EXISTS log.events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    host text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    event text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    origin text NOT NULL,
    shipped_at timestamptz NOT NULL DEFAULT now()
);
-- No value in the rows from before: nobody knows it. An ALTER TABLE that changes nothing would wait for readers as well.
SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'log.events'::regclass AND attname = 'asked_at') AS older
\gset
\if :older
    ALTER TABLE log.events ADD COLUMN asked_at timestamptz;
\endif
CREATE INDEX IF NOT EXISTS events_of_a_model ON log.events (model, id);

CREATE OR REPLACE VIEW log.truth AS
    SELECT DISTINCT ON (prediction_id, row_index, model) prediction_id, row_index, class, at, who, received_at, model
    FROM log.feedback
    ORDER BY prediction_id, row_index, model, at DESC, received_at DESC, class, who;

CREATE TABLE IF NOT EXISTS log.retention (
    days integer NOT NULL CHECK (days BETWEEN 1 AND 36500),
    one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
INSERT INTO log.retention (days) VALUES (:'retention_days') ON CONFLICT (one) DO UPDATE SET days = excluded.days;

-- How far the log is complete: each folder of segments has a row of its own.
CREATE TABLE IF NOT EXISTS log.watermarks (
    spool uuid PRIMARY KEY,
    complete_until timestamptz NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS feedback_by_arrival ON log.feedback USING brin (shipped_at);

-- The one way to move a watermark, which only goes forward.
CREATE OR REPLACE FUNCTION log.note_watermark(spool uuid, complete_until timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);  -- an older one does no harm, and it is called all the time
    INSERT INTO log.watermarks AS known (spool, complete_until) VALUES ($1, $2)
    ON CONFLICT (spool) DO UPDATE SET
        complete_until = greatest(known.complete_until, excluded.complete_until), noted_at = now();
END $$;

-- Days are those of UTC. A day whose rows came before its partition takes them over from the default one. Whoever reads the
-- log in a transaction that stays open keeps days from being prepared, which must not stop all others.
CREATE OR REPLACE FUNCTION log.prepare_days(first date, last date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    day date;
    name text;
    starts timestamptz;
    ends timestamptz;
BEGIN
    IF first IS NULL OR last IS NULL OR last < first OR last - first > 31 OR first < today - 31 OR last > today + 31 THEN
        RAISE 'the days from % to % can''t be prepared: 1 to 32 days at once, and 31 from today at most', first, last
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR day IN SELECT first + number FROM generate_series(0, last - first) AS number LOOP
        name := 'predictions_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('log.' || name) IS NOT NULL;
        -- Others that prepare days wait here, and those that add rows to the default partition below.
        LOCK TABLE log.predictions IN SHARE UPDATE EXCLUSIVE MODE;
        CONTINUE WHEN to_regclass('log.' || name) IS NOT NULL;
        LOCK TABLE ONLY log.predictions_elsewhere IN ACCESS EXCLUSIVE MODE;
        starts := day::timestamp AT TIME ZONE 'UTC';
        ends := (day + 1)::timestamp AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE log.%I (LIKE log.predictions INCLUDING ALL)', name);
        EXECUTE format(
            'WITH moved AS (DELETE FROM ONLY log.predictions_elsewhere WHERE at >= $1 AND at < $2 RETURNING *)
             INSERT INTO log.%I SELECT * FROM moved', name
        ) USING starts, ends;
        EXECUTE format(
            'ALTER TABLE log.predictions ATTACH PARTITION log.%I FOR VALUES FROM (%L) TO (%L)', name,
            to_char(day, 'YYYY-MM-DD') || ' 00:00+00', to_char(day + 1, 'YYYY-MM-DD') || ' 00:00+00'
        );
    END LOOP;
END $$;

-- How long rows are kept is the superuser's to say: whoever has the password of shipper can't delete younger ones.
CREATE OR REPLACE FUNCTION log.drop_days() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS $$
DECLARE
    first_kept date;
    oldest timestamptz;
    name text;
    dropped integer := 0;
BEGIN
    SELECT (now() AT TIME ZONE 'UTC')::date - days INTO STRICT first_kept FROM log.retention;
    oldest := first_kept::timestamp AT TIME ZONE 'UTC';
    FOR name IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'log.predictions'::regclass AND relname ~ '^predictions_[0-9]{8}$'
            AND to_date(right(relname, 8), 'YYYYMMDD') < first_kept
        ORDER BY relname
    LOOP
        -- With what a role has made of it, such as a view: nobody may keep rows longer by that.
        EXECUTE format('DROP TABLE log.%I CASCADE', name);
        dropped := dropped + 1;
    END LOOP;
    -- The times of a wrong clock don't tell how old a row is.
    DELETE FROM ONLY log.predictions_elsewhere WHERE shipped_at < oldest;
    DELETE FROM log.feedback WHERE shipped_at < oldest;
    -- A file with one of these names can't be waiting any more.
    DELETE FROM log.segments WHERE shipped_at < least(oldest, now() - interval '30 days');
    RETURN dropped;
END $$;

-- The one way to change the sums, which only adds to them. All lists are of one length.
CREATE OR REPLACE FUNCTION log.add_traffic(
    contract text, model text, version text, hours timestamptz[], classes text[], rows bigint[], outside bigint[],
    missing bigint[], latency_ms_sums double precision[], latency_ms_maxima real[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF 0 > ANY (rows || outside || missing) OR 0 > ANY (latency_ms_sums || latency_ms_maxima::double precision[])
        OR 'Infinity' <= ANY (latency_ms_sums || latency_ms_maxima::double precision[]) -- NaN is greater
    THEN
        RAISE 'the sums of the traffic can''t become less, nor infinite' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO log.traffic AS known
    SELECT $1, $2, $3, added.* FROM unnest($4, $5, $6, $7, $8, $9, $10) AS added (hour, class)
    ORDER BY hour, class  -- two that add the same rows can't wait for each other
    ON CONFLICT (model, hour, contract, version, class) DO UPDATE SET
        rows = known.rows + excluded.rows,
        outside = known.outside + excluded.outside,
        missing = known.missing + excluded.missing,
        latency_ms_sum = known.latency_ms_sum + excluded.latency_ms_sum,
        latency_ms_max = greatest(known.latency_ms_max, excluded.latency_ms_max);
END $$;

-- Enter a move of Production that nobody decided here, when the service tells of its new version. A decision that holds
-- the lock looks for such a move itself, and so does the next one. An event is as old as the registry's answer, which may
-- have been asked for before something was decided that is in the trail by now.
CREATE OR REPLACE FUNCTION log.enter_found() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked timestamptz := coalesce(NEW.asked_at, NEW.at);
    last record;
    known timestamptz;
BEGIN
    IF NEW.version !~ '^[0-9]{1,18}$' OR NEW.model ~ '[[:cntrl:]]' OR asked > now() + interval '1 hour'
        OR NOT pg_try_advisory_xact_lock(hashtext('production of ' || NEW.model))
    THEN
        RETURN NULL;
    END IF;
    SELECT to_version, coalesce(settled.at, entry.at) AS at, settled.at IS NULL AND db_user = 'shipper' AS is_from_here
    INTO last
    FROM audit.promotions AS entry LEFT JOIN audit.settled ON promotion = entry.id
    WHERE model = NEW.model AND action IN ('promote', 'rollback', 'found') ORDER BY entry.id DESC LIMIT 1;
    known := last.at;
    IF last.is_from_here THEN -- it is as old as the event that it comes from, which may have waited
        SELECT coalesce(max(coalesce(asked_at, events.at)), last.at) INTO known FROM log.events
        WHERE model = NEW.model AND version = last.to_version AND event = 'swapped' AND origin = 'registry'
            AND id < NEW.id;
    END IF;
    IF last.to_version = NEW.version OR known >= asked THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit.promotions (model, who, action, from_version, to_version, reason, numbers)
    VALUES (
        NEW.model, 'the service on ' || left(regexp_replace(NEW.host, '[[:cntrl:]]', '', 'g'), 100), 'found',
        last.to_version, NEW.version,
        'the service found it in Production: it was put there otherwise, as in MLflow''s UI', '{}'
    );
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER enter_found AFTER INSERT ON log.events FOR EACH ROW
WHEN (NEW.event = 'swapped' AND NEW.origin = 'registry') EXECUTE FUNCTION log.enter_found();

REVOKE ALL ON SCHEMA log FROM shipper, penguins, PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA log FROM shipper, penguins, PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA log FROM shipper, penguins, PUBLIC;
GRANT USAGE ON SCHEMA log TO shipper, penguins;
GRANT EXECUTE ON FUNCTION log.prepare_days, log.drop_days, log.add_traffic, log.note_watermark TO shipper;
GRANT INSERT (
    prediction_id, row_index, at, contract, model, version, class, latency_ms, outside, fraction, features, probabilities,
    shadow, shadow_version
) ON log.predictions TO shipper;
GRANT INSERT (prediction_id, row_index, class, at, who, received_at, model) ON log.feedback TO shipper;
GRANT INSERT (name, kind, rows) ON log.segments TO shipper;
GRANT INSERT (digest, name, document) ON log.contracts TO shipper;
GRANT INSERT (at, host, model, version, event, reason, detail, origin, asked_at) ON log.events TO shipper;
GRANT SELECT ON log.predictions, log.segments, log.contracts, log.traffic, log.feedback, log.truth, log.events,
    log.retention, log.watermarks TO penguins;

COMMENT ON SCHEMA log IS 'The prediction log; docs/explanation/prediction-log.md explains it';
COMMENT ON TABLE log.predictions IS 'Answers of the prediction service, a row for each row that was asked; append-only';
COMMENT ON COLUMN log.predictions.prediction_id IS 'Id of the request: a UUID of version 7, which begins with its time';
COMMENT ON COLUMN log.predictions.row_index IS 'Position of the row in the request, from 0';
COMMENT ON COLUMN log.predictions.at IS 'Time of the answer, by the clock of the service';
COMMENT ON COLUMN log.predictions.contract IS 'Digest of the contract, which log.contracts explains';
COMMENT ON COLUMN log.predictions.class IS 'Position of the predicted class in the contract, from 0';
COMMENT ON COLUMN log.predictions.latency_ms IS 'Milliseconds that the request took in the service';
COMMENT ON COLUMN log.predictions.outside IS 'Number of features outside the range of the training data';
COMMENT ON COLUMN log.predictions.fraction IS 'Share of the requests that is logged';
COMMENT ON COLUMN log.predictions.features IS
    'The row as the model saw it: numbers, and positions of categories; NaN for missing or not logged';
COMMENT ON COLUMN log.predictions.probabilities IS 'Probability of each class, in the order of the contract';
COMMENT ON COLUMN log.predictions.shadow IS 'Class of the version that answers in its shadow; null without one';
COMMENT ON COLUMN log.predictions.shadow_version IS 'The version that answered in the shadow';
COMMENT ON COLUMN log.predictions.shipped_at IS 'When the row arrived here, by the clock of the database';
COMMENT ON TABLE log.predictions_elsewhere IS 'Rows of days that have no partition, as of a wrong clock';
COMMENT ON TABLE log.segments IS 'The files that were brought in, each once';
COMMENT ON TABLE log.contracts IS 'The contracts of the predictions, as the service had them';
COMMENT ON TABLE log.traffic IS 'Sums over log.predictions, kept beside the rows; an hour is one of UTC';
COMMENT ON COLUMN log.traffic.outside IS 'Rows with a feature outside the range of the training data';
COMMENT ON COLUMN log.traffic.missing IS 'Missing values of all features, and those that are not logged';
COMMENT ON TABLE log.feedback IS 'True classes, as somebody said them, with all corrections; append-only';
COMMENT ON COLUMN log.feedback.at IS 'Time from which it holds, as who sent it says';
COMMENT ON VIEW log.truth IS 'The latest true class of each row, as it was told about a model';
COMMENT ON TABLE log.events IS 'Starts, ends, swaps and refusals of the prediction service; append-only';
COMMENT ON COLUMN log.events.asked_at IS 'When the service asked the registry, whose answer the event comes from';
COMMENT ON TABLE log.watermarks IS 'How far the log is complete, for each folder of segments';
COMMENT ON COLUMN log.watermarks.complete_until IS 'All answers from before this time that are to arrive have arrived';
COMMENT ON TABLE log.retention IS 'Days after which rows are deleted';
COMMIT;
