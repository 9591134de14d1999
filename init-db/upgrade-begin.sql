-- Keep what there was before an upgrade, unless this goes on with one that was interrupted.
SET search_path = pg_catalog, pg_temp;

INSERT INTO public.upgrades (from_version, before)
SELECT :'from', :'before' WHERE NOT EXISTS (SELECT FROM public.upgrades WHERE completed_at IS NULL);
