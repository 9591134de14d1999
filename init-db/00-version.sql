-- Print `newer` and the version that has changed the databases, if it is newer than :version; `older` and the version that
-- they are brought along from, if there is something to bring along or an upgrade wasn't completed; otherwise nothing.
SET search_path = pg_catalog, pg_temp;
SET client_min_messages = 'warning';

SELECT found, string_to_array(found, '.')::int[] > string_to_array(:'version', '.')::int[] AS newer
FROM (
    SELECT coalesce(max(substring(comment FROM '^penguins (\d+(?:\.\d+)*)$')), '0.1.0') -- that one recorded nothing
    FROM pg_database, shobj_description(oid, 'pg_database') AS comment WHERE datname = 'postgres'
) AS recorded (found)
\gset
\if :newer
    \echo newer :found
    \quit
\endif

CREATE TABLE IF NOT EXISTS public.upgrades (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    from_version text NOT NULL,
    before jsonb NOT NULL, -- of upgrade-look.sql
    completed_at timestamptz,
    done text, -- what people are told
    told_at timestamptz
);
SELECT 'older ' || :'found'
WHERE EXISTS (SELECT FROM pg_database WHERE datname = 'penguins')
    AND (:'found' <> :'version' OR EXISTS (SELECT FROM public.upgrades WHERE completed_at IS NULL));
