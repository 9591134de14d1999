-- Complete an upgrade, and print what it has brought: the difference between what there was and what there is.
SET search_path = pg_catalog, pg_temp;

WITH added AS (
    SELECT kind, name, of FROM jsonb_to_recordset(:'after') AS after (kind text, name text, of text)
    EXCEPT
    SELECT kind, name, of FROM public.upgrades, jsonb_to_recordset(before) AS known (kind text, name text, of text)
    WHERE completed_at IS NULL
), parts (place, part) AS (
    SELECT 1, 'roles: ' || string_agg(name, ', ' ORDER BY name) FROM added WHERE kind = 'role'
    UNION ALL
    SELECT 2, 'databases that belong to the superuser now: ' || string_agg(name, ', ' ORDER BY name)
    FROM added WHERE kind = 'owned'
    UNION ALL
    SELECT 3, 'tables: ' || string_agg(name, ', ' ORDER BY name) FROM added WHERE kind = 'table'
    UNION ALL
    SELECT 4, 'columns: ' || string_agg(name, ', ' ORDER BY name) FROM added
    WHERE kind = 'column' AND of NOT IN (SELECT name FROM added WHERE kind = 'table')
)
UPDATE public.upgrades SET completed_at = now(), done =
    'Upgraded the databases from ' || from_version || ' to ' || :'version' || '. New in them: '
    || coalesce((SELECT string_agg(part, '; ' ORDER BY place) FROM parts), 'nothing') || '.'
WHERE completed_at IS NULL
RETURNING done;
